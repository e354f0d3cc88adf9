"""Makes a layer of the price book from SKUs of Google's Cloud Billing Catalog API, and puts it into a book.

Pure: dictionaries in, dictionaries out. Who reads them from the API is elsewhere. The names are those that public price
lists and bills show; what has another name is not mapped, and told.
"""
