"""Cloud Storage of the local cloud: buckets and objects over the JSON API, media transfers and part of the XML API."""
