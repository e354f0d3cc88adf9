// Command languages does what users of Google's clients for Go do every day: it prints a line for each step, then how
// many passed of how many.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	aiplatform "cloud.google.com/go/aiplatform/apiv1"
	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"cloud.google.com/go/logging"
	"cloud.google.com/go/logging/logadmin"
	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/storage"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"
)

var good, all int

func step(name string, f func(ctx context.Context) error) {
	all++
	ctx, cancel := context.WithTimeout(context.Background(), 25*time.Second)
	defer cancel()
	if err := f(ctx); err != nil {
		fmt.Println(name, "| FAIL", err)
		return
	}
	good++
	fmt.Println(name, "| ok")
}

func must(ok bool) error {
	if !ok {
		return errors.New("not as expected")
	}
	return nil
}

func main() {
	bg := context.Background()
	project := os.Getenv("GOOGLE_CLOUD_PROJECT")
	s, err := storage.NewClient(bg)
	if err != nil {
		panic(err)
	}
	b := s.Bucket(fmt.Sprintf("go-%d", time.Now().UnixNano()))
	big := make([]byte, 20<<20)
	rand.Read(big)
	write := func(ctx context.Context, o *storage.ObjectHandle, data []byte, chunk int) error {
		w := o.NewWriter(ctx)
		if chunk >= 0 {
			w.ChunkSize = chunk
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
		return w.Close()
	}
	read := func(ctx context.Context, name string) ([]byte, error) {
		r, err := b.Object(name).NewReader(ctx)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return io.ReadAll(r)
	}
	step("create", func(ctx context.Context) error {
		return b.Create(ctx, project, &storage.BucketAttrs{Location: "us-central1"})
	})
	step("attrs", func(ctx context.Context) error { _, err := b.Attrs(ctx); return err })
	step("buckets", func(ctx context.Context) error { _, err := s.Buckets(ctx, project).Next(); return err })
	step("small", func(ctx context.Context) error { return write(ctx, b.Object("small.txt"), []byte("hello"), -1) })
	step("small no chunk", func(ctx context.Context) error { return write(ctx, b.Object("simple.txt"), []byte("hello"), 0) })
	step("big default", func(ctx context.Context) error { return write(ctx, b.Object("big.bin"), big, -1) })
	step("big chunks", func(ctx context.Context) error { return write(ctx, b.Object("big2.bin"), big, 1<<20) })
	step("read small", func(ctx context.Context) error {
		d, err := read(ctx, "small.txt")
		if err != nil {
			return err
		}
		return must(string(d) == "hello")
	})
	step("read big", func(ctx context.Context) error {
		d, err := read(ctx, "big.bin")
		if err != nil {
			return err
		}
		return must(bytes.Equal(d, big))
	})
	step("read big2", func(ctx context.Context) error {
		d, err := read(ctx, "big2.bin")
		if err != nil {
			return err
		}
		return must(bytes.Equal(d, big))
	})
	step("range", func(ctx context.Context) error {
		r, err := b.Object("big.bin").NewRangeReader(ctx, 10, 10)
		if err != nil {
			return err
		}
		d, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		return must(bytes.Equal(d, big[10:20]))
	})
	step("negative range", func(ctx context.Context) error {
		r, err := b.Object("big.bin").NewRangeReader(ctx, -10, -1)
		if err != nil {
			return err
		}
		d, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		return must(bytes.Equal(d, big[len(big)-10:]))
	})
	step("list prefix", func(ctx context.Context) error {
		it := b.Objects(ctx, &storage.Query{Prefix: "big"})
		n := 0
		for {
			_, err := it.Next()
			if err == iterator.Done {
				break
			}
			if err != nil {
				return err
			}
			n++
		}
		return must(n == 2)
	})
	step("list delimiter", func(ctx context.Context) error {
		if err := write(ctx, b.Object("d/x"), []byte("1"), -1); err != nil {
			return err
		}
		it := b.Objects(ctx, &storage.Query{Delimiter: "/"})
		n := 0
		for {
			a, err := it.Next()
			if err == iterator.Done {
				break
			}
			if err != nil {
				return err
			}
			if a.Prefix == "d/" {
				n++
			}
		}
		return must(n == 1)
	})
	step("metadata", func(ctx context.Context) error {
		a, err := b.Object("small.txt").Update(ctx, storage.ObjectAttrsToUpdate{Metadata: map[string]string{"a": "b"}, CacheControl: "no-cache"})
		if err != nil {
			return err
		}
		return must(a.Metadata["a"] == "b")
	})
	step("copy", func(ctx context.Context) error {
		_, err := b.Object("copy").CopierFrom(b.Object("small.txt")).Run(ctx)
		return err
	})
	step("compose", func(ctx context.Context) error {
		_, err := b.Object("both").ComposerFrom(b.Object("small.txt"), b.Object("simple.txt")).Run(ctx)
		return err
	})
	step("move", func(ctx context.Context) error {
		_, err := b.Object("copy").Move(ctx, storage.MoveObjectDestination{Object: "moved"})
		return err
	})
	step("412", func(ctx context.Context) error {
		err := write(ctx, b.Object("small.txt").If(storage.Conditions{DoesNotExist: true}), []byte("x"), -1)
		var e *googleapi.Error
		return must(errors.As(err, &e) && e.Code == 412)
	})
	step("404", func(ctx context.Context) error {
		_, err := read(ctx, "nope")
		return must(errors.Is(err, storage.ErrObjectNotExist))
	})
	step("signed", func(ctx context.Context) error {
		u, err := b.SignedURL("small.txt", &storage.SignedURLOptions{Method: "GET", Expires: time.Now().Add(time.Minute), Scheme: storage.SigningSchemeV4})
		if err != nil {
			return err
		}
		return must(len(u) > 100)
	})
	step("bucket update", func(ctx context.Context) error {
		u := storage.BucketAttrsToUpdate{VersioningEnabled: true}
		u.SetLabel("a", "b")
		a, err := b.Update(ctx, u)
		if err != nil {
			return err
		}
		return must(a.Labels["a"] == "b" && a.VersioningEnabled)
	})
	step("iam", func(ctx context.Context) error {
		p, err := b.IAM().V3().Policy(ctx)
		if err != nil {
			return err
		}
		return must(len(p.Bindings) > 0)
	})
	step("test iam", func(ctx context.Context) error {
		p, err := b.IAM().TestPermissions(ctx, []string{"storage.objects.get"})
		if err != nil {
			return err
		}
		return must(len(p) == 1)
	})
	step("delete all", func(ctx context.Context) error {
		it := b.Objects(ctx, &storage.Query{Versions: true})
		for {
			a, err := it.Next()
			if err == iterator.Done {
				break
			}
			if err != nil {
				return err
			}
			if err := b.Object(a.Name).Generation(a.Generation).Delete(ctx); err != nil {
				return err
			}
		}
		return b.Delete(ctx)
	})
	lc, err := logging.NewClient(bg, project)
	step("log client", func(ctx context.Context) error { return err })
	step("log write", func(ctx context.Context) error {
		return lc.Logger("go-log").LogSync(ctx, logging.Entry{Payload: map[string]any{"a": 1}, Severity: logging.Error})
	})
	step("log flush", func(ctx context.Context) error {
		l := lc.Logger("go-log")
		l.Log(logging.Entry{Payload: "hi"})
		return l.Flush()
	})
	step("log read", func(ctx context.Context) error {
		ac, err := logadmin.NewClient(ctx, project)
		if err != nil {
			return err
		}
		_, err = ac.Entries(ctx, logadmin.Filter(`logName:"go-log"`)).Next()
		return err
	})
	pc, err := pubsub.NewClient(bg, project)
	step("pubsub client", func(ctx context.Context) error { return err })
	topic := "projects/" + project + "/topics/go-topic"
	sub := "projects/" + project + "/subscriptions/go-sub"
	step("topic", func(ctx context.Context) error {
		_, err := pc.TopicAdminClient.CreateTopic(ctx, &pubsubpb.Topic{Name: topic})
		return err
	})
	step("subscription", func(ctx context.Context) error {
		_, err := pc.SubscriptionAdminClient.CreateSubscription(ctx, &pubsubpb.Subscription{Name: sub, Topic: topic})
		return err
	})
	step("publish", func(ctx context.Context) error {
		p := pc.Publisher("go-topic")
		defer p.Stop()
		_, err := p.Publish(ctx, &pubsub.Message{Data: []byte("x")}).Get(ctx)
		return err
	})
	step("receive", func(ctx context.Context) error {
		got := false
		inner, cancel := context.WithTimeout(ctx, 15*time.Second)
		defer cancel()
		err := pc.Subscriber("go-sub").Receive(inner, func(_ context.Context, m *pubsub.Message) { got = string(m.Data) == "x"; m.Ack(); cancel() })
		if err != nil {
			return err
		}
		return must(got)
	})
	step("pubsub delete", func(ctx context.Context) error {
		if err := pc.SubscriptionAdminClient.DeleteSubscription(ctx, &pubsubpb.DeleteSubscriptionRequest{Subscription: sub}); err != nil {
			return err
		}
		return pc.TopicAdminClient.DeleteTopic(ctx, &pubsubpb.DeleteTopicRequest{Topic: topic})
	})
	jc, err := aiplatform.NewJobClient(bg, option.WithEndpoint("us-central1-aiplatform.googleapis.com:443"))
	step("job client", func(ctx context.Context) error { return err })
	parent := "projects/" + project + "/locations/us-central1"
	name := ""
	step("job create", func(ctx context.Context) error {
		j, err := jc.CreateCustomJob(ctx, &aiplatformpb.CreateCustomJobRequest{Parent: parent, CustomJob: &aiplatformpb.CustomJob{DisplayName: "go", JobSpec: &aiplatformpb.CustomJobSpec{WorkerPoolSpecs: []*aiplatformpb.WorkerPoolSpec{{
			Task:         &aiplatformpb.WorkerPoolSpec_ContainerSpec{ContainerSpec: &aiplatformpb.ContainerSpec{ImageUri: "python:3.11", Command: []string{"python", "-c", "print(1)"}}},
			ReplicaCount: 1, MachineSpec: &aiplatformpb.MachineSpec{MachineType: "n1-standard-4"}}}}}})
		if err != nil {
			return err
		}
		name = j.Name
		return nil
	})
	step("job get", func(ctx context.Context) error {
		_, err := jc.GetCustomJob(ctx, &aiplatformpb.GetCustomJobRequest{Name: name})
		return err
	})
	step("job list", func(ctx context.Context) error {
		_, err := jc.ListCustomJobs(ctx, &aiplatformpb.ListCustomJobsRequest{Parent: parent}).Next()
		return err
	})
	step("job cancel", func(ctx context.Context) error {
		return jc.CancelCustomJob(ctx, &aiplatformpb.CancelCustomJobRequest{Name: name})
	})
	fmt.Println(good, "/", all)
}
