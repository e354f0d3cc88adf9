// What users of Google's clients for Java do every day: a line for each step, then how many passed of how many.

import com.google.api.gax.paging.Page;
import com.google.api.gax.rpc.ApiException;
import com.google.api.gax.rpc.StatusCode;
import com.google.cloud.MonitoredResource;
import com.google.cloud.aiplatform.v1.ContainerSpec;
import com.google.cloud.aiplatform.v1.CustomJob;
import com.google.cloud.aiplatform.v1.CustomJobSpec;
import com.google.cloud.aiplatform.v1.JobServiceClient;
import com.google.cloud.aiplatform.v1.JobServiceSettings;
import com.google.cloud.aiplatform.v1.JobState;
import com.google.cloud.aiplatform.v1.MachineSpec;
import com.google.cloud.aiplatform.v1.WorkerPoolSpec;
import com.google.cloud.logging.LogEntry;
import com.google.cloud.logging.Logging;
import com.google.cloud.logging.LoggingOptions;
import com.google.cloud.logging.Payload.JsonPayload;
import com.google.cloud.logging.Payload.StringPayload;
import com.google.cloud.logging.Severity;
import com.google.cloud.pubsub.v1.MessageReceiver;
import com.google.cloud.pubsub.v1.Publisher;
import com.google.cloud.pubsub.v1.Subscriber;
import com.google.cloud.pubsub.v1.SubscriptionAdminClient;
import com.google.cloud.pubsub.v1.TopicAdminClient;
import com.google.cloud.storage.Blob;
import com.google.cloud.storage.BlobId;
import com.google.cloud.storage.BlobInfo;
import com.google.cloud.storage.Bucket;
import com.google.cloud.storage.BucketInfo;
import com.google.cloud.storage.BucketInfo.LifecycleRule;
import com.google.cloud.storage.CopyWriter;
import com.google.cloud.storage.HttpMethod;
import com.google.cloud.storage.PostPolicyV4;
import com.google.cloud.storage.Storage;
import com.google.cloud.storage.StorageBatch;
import com.google.cloud.storage.StorageBatchResult;
import com.google.cloud.storage.StorageException;
import com.google.cloud.storage.StorageOptions;
import com.google.cloud.storage.transfermanager.DownloadResult;
import com.google.cloud.storage.transfermanager.ParallelDownloadConfig;
import com.google.cloud.storage.transfermanager.ParallelUploadConfig;
import com.google.cloud.storage.transfermanager.TransferManager;
import com.google.cloud.storage.transfermanager.TransferManagerConfig;
import com.google.cloud.storage.transfermanager.TransferStatus;
import com.google.cloud.storage.transfermanager.UploadResult;
import com.google.protobuf.ByteString;
import com.google.pubsub.v1.PubsubMessage;
import com.google.pubsub.v1.PullRequest;
import com.google.pubsub.v1.PushConfig;
import com.google.pubsub.v1.ReceivedMessage;
import com.google.pubsub.v1.SubscriptionName;
import com.google.pubsub.v1.TopicName;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URL;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.stream.StreamSupport;

public final class Clients {
  private static final String PROJECT = System.getenv("GOOGLE_CLOUD_PROJECT");
  private static final ExecutorService THREADS = Executors.newCachedThreadPool();
  private static int good;
  private static int all;

  /** What a step does. */
  private interface Step {
    void run() throws Exception;
  }

  private static void step(String name, Step step) {
    step(name, 30, step);
  }

  private static void step(String name, int seconds, Step step) {
    all++;
    try {
      THREADS.submit(() -> { step.run(); return null; }).get(seconds, TimeUnit.SECONDS);
      good++;
      System.out.println(name + " | ok");
    } catch (Exception failed) {
      Throwable cause = failed.getCause() == null ? failed : failed.getCause();
      System.out.println(name + " | FAIL " + cause.toString().replace('\n', ' '));
    }
  }

  private static void must(boolean true_, Object... told) {
    if (!true_) {
      throw new IllegalStateException("not as expected: " + Arrays.toString(told));
    }
  }

  private static void refused(int code, Step step) throws Exception {
    try {
      step.run();
    } catch (StorageException error) {
      must(error.getCode() == code, error.getCode(), error.getMessage());
      return;
    }
    must(false, "refused by nobody");
  }

  private static int count(Iterable<?> found) {
    return (int) StreamSupport.stream(found.spliterator(), false).count();
  }

  private static HttpURLConnection open(URL url, String method) throws Exception {
    HttpURLConnection connection = (HttpURLConnection) url.openConnection();
    connection.setRequestMethod(method);
    return connection;
  }

  private static void storage() throws Exception {
    Storage s = StorageOptions.getDefaultInstance().getService();
    String name = "java-" + System.currentTimeMillis();
    byte[] hello = "hello".getBytes();
    byte[] big = new byte[20 << 20];
    new Random().nextBytes(big);
    Path file = Path.of("big.bin");
    Files.write(file, big);
    step("create bucket", () -> s.create(BucketInfo.newBuilder(name).setLocation("us-central1").build()));
    step("get bucket", () -> must(s.get(name).getLocation().equals("US-CENTRAL1")));
    step("list buckets", () -> must(count(s.list().iterateAll()) >= 1));
    step("small", () -> s.create(BlobInfo.newBuilder(name, "small.txt").setContentType("text/plain").build(), hello));
    step("small by a writer", () -> {
      try (var writer = s.writer(BlobInfo.newBuilder(name, "written.txt").build())) {
        writer.write(ByteBuffer.wrap(hello));
      }
    });
    step("empty", () -> must(s.create(BlobInfo.newBuilder(name, "empty").build()).getSize() == 0));
    step("20 MB by default", () -> must(s.createFrom(BlobInfo.newBuilder(name, "big.bin").build(), file).getSize() == big.length));
    step("20 MB from a stream", () -> {
      try (InputStream in = Files.newInputStream(file)) {
        must(s.createFrom(BlobInfo.newBuilder(name, "big-stream.bin").build(), in).getSize() == big.length);
      }
    });
    step("20 MB in chunks", () -> {
      try (var writer = s.writer(BlobInfo.newBuilder(name, "big-chunks.bin").build())) {
        writer.setChunkSize(1 << 20);
        writer.write(ByteBuffer.wrap(big));
      }
      must(s.get(name, "big-chunks.bin").getSize() == big.length);
    });
    step("read small", () -> must(Arrays.equals(s.readAllBytes(name, "small.txt"), hello)));
    step("read what a writer wrote", () -> must(Arrays.equals(s.readAllBytes(name, "written.txt"), hello)));
    step("read 20 MB", () -> must(Arrays.equals(s.readAllBytes(name, "big.bin"), big)));
    step("read 20 MB in chunks", () -> must(Arrays.equals(s.readAllBytes(name, "big-chunks.bin"), big)));
    step("download to a file", () -> {
      s.downloadTo(BlobId.of(name, "big-stream.bin"), Path.of("out.bin"));
      must(Arrays.equals(Files.readAllBytes(Path.of("out.bin")), big));
    });
    step("download to a stream", () -> {
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      s.get(name, "small.txt").downloadTo(out);
      must(Arrays.equals(out.toByteArray(), hello));
    });
    step("range", () -> {
      try (var reader = s.reader(name, "big.bin")) {
        reader.seek(10);
        reader.limit(20);
        ByteBuffer into = ByteBuffer.allocate(64);
        while (reader.read(into) >= 0) {}
        must(Arrays.equals(Arrays.copyOf(into.array(), into.position()), Arrays.copyOfRange(big, 10, 20)), into);
      }
    });
    step("list a prefix", () -> must(count(s.list(name, Storage.BlobListOption.prefix("big")).iterateAll()) == 3));
    step("list a folder", () -> {
      s.create(BlobInfo.newBuilder(name, "d/x").build(), hello);
      int folders = 0;
      for (Blob blob : s.list(name, Storage.BlobListOption.currentDirectory()).iterateAll()) {
        folders += blob.isDirectory() && blob.getName().equals("d/") ? 1 : 0;
      }
      must(folders == 1);
    });
    step("list in pages", () -> {
      Page<Blob> page = s.list(name, Storage.BlobListOption.pageSize(2));
      must(count(page.getValues()) == 2 && page.hasNextPage() && count(page.iterateAll()) == 7, count(page.iterateAll()));
    });
    step("metadata", () -> {
      Blob blob = s.get(name, "small.txt");
      blob = blob.toBuilder().setMetadata(Map.of("a", "b")).setCacheControl("no-cache").build().update();
      Blob told = s.get(name, "small.txt");
      must(told.getMetadata().get("a").equals("b") && told.getCacheControl().equals("no-cache"));
      must(told.getContentType().equals("text/plain"));
    });
    step("some fields", () -> {
      Blob told = s.get(BlobId.of(name, "small.txt"), Storage.BlobGetOption.fields(Storage.BlobField.SIZE));
      must(told.getSize() == 5 && told.getContentType() == null);
    });
    step("checksums", () -> {
      Blob told = s.get(name, "small.txt");
      must(told.getCrc32c().equals("mnG7TA==") && told.getMd5().equals("XUFAKrxLKna5cZ2REBfFkg=="), told);
    });
    step("copy", () -> {
      CopyWriter copy = s.copy(Storage.CopyRequest.of(BlobId.of(name, "big.bin"), BlobId.of(name, "copy")));
      must(copy.getResult().getSize() == big.length);
    });
    step("move", () -> {
      s.moveBlob(
          Storage.MoveBlobRequest.newBuilder().setSource(BlobId.of(name, "copy")).setTarget(BlobId.of(name, "moved")).build());
      must(s.get(name, "copy") == null && s.get(name, "moved").getSize() == big.length);
    });
    step("compose", () -> {
      s.compose(Storage.ComposeRequest.of(name, List.of("small.txt", "written.txt"), "both.txt"));
      must(new String(s.readAllBytes(name, "both.txt")).equals("hellohello"));
    });
    step("precondition fails", () -> refused(412, () ->
        s.create(BlobInfo.newBuilder(name, "small.txt").build(), hello, Storage.BlobTargetOption.doesNotExist())));
    step("precondition of 20 MB fails", () -> refused(412, () ->
        s.createFrom(BlobInfo.newBuilder(name, "big.bin").build(), file, Storage.BlobWriteOption.doesNotExist())));
    step("precondition holds", () -> {
      Blob told = s.get(name, "written.txt");
      BlobInfo again = BlobInfo.newBuilder(told.getBlobId()).build();
      must(s.create(again, hello, Storage.BlobTargetOption.generationMatch()).getGeneration() > told.getGeneration());
    });
    step("nothing there", () -> must(s.get(name, "nope") == null && !s.delete(BlobId.of(name, "nope"))));
    step("nothing to read", () -> refused(404, () -> s.readAllBytes(name, "nope")));
    step("no bucket", () -> must(s.get(name + "-nope") == null));
    step("signed read", () -> {
      URL url = s.signUrl(BlobInfo.newBuilder(name, "small.txt").build(), 1, TimeUnit.MINUTES, Storage.SignUrlOption.withV4Signature());
      try (InputStream in = open(url, "GET").getInputStream()) {
        must(Arrays.equals(in.readAllBytes(), hello));
      }
    });
    step("signed write", () -> {
      URL url = s.signUrl(BlobInfo.newBuilder(name, "signed.txt").build(), 1, TimeUnit.MINUTES,
          Storage.SignUrlOption.httpMethod(HttpMethod.PUT), Storage.SignUrlOption.withV4Signature());
      HttpURLConnection put = open(url, "PUT");
      put.setDoOutput(true);
      put.getOutputStream().write(hello);
      must(put.getResponseCode() == 200, put.getResponseCode());
      must(Arrays.equals(s.readAllBytes(name, "signed.txt"), hello));
    });
    step("signed form", () -> {
      PostPolicyV4 form = s.generateSignedPostPolicyV4(BlobInfo.newBuilder(name, "form.txt").build(), 1, TimeUnit.MINUTES);
      must(form.getUrl().contains(name) && form.getFields().containsKey("x-goog-signature"));
    });
    step("batch", () -> {
      StorageBatch batch = s.batch();
      StorageBatchResult<Blob> got = batch.get(name, "small.txt");
      StorageBatchResult<Blob> absent = batch.get(name, "nope");
      StorageBatchResult<Blob> changed = batch.update(BlobInfo.newBuilder(name, "written.txt").setMetadata(Map.of("c", "d")).build());
      StorageBatchResult<Boolean> deleted = batch.delete(name, "moved");
      batch.submit();
      must(got.get().getSize() == 5 && absent.get() == null && deleted.get());
      must(changed.get().getMetadata().get("c").equals("d"));
    });
    step("many at once", () -> {
      List<Boolean> done = s.delete(BlobId.of(name, "signed.txt"), BlobId.of(name, "nope"));
      must(done.equals(List.of(true, false)), done);
    });
    step("transfer manager", () -> {
      TransferManagerConfig settings = TransferManagerConfig.newBuilder().setMaxWorkers(4).setAllowDivideAndConquerDownload(true).build();
      try (TransferManager transfers = settings.getService()) {
        List<UploadResult> up = transfers.uploadFiles(List.of(file), ParallelUploadConfig.newBuilder().setBucketName(name).setPrefix("many").build()).getUploadResults();
        must(up.get(0).getStatus() == TransferStatus.SUCCESS, up);
        ParallelDownloadConfig into = ParallelDownloadConfig.newBuilder().setBucketName(name).setDownloadDirectory(Path.of(".").toAbsolutePath()).build();
        List<DownloadResult> down = transfers.downloadBlobs(List.of(up.get(0).getUploadedBlob()), into).getDownloadResults();
        must(down.get(0).getStatus() == TransferStatus.SUCCESS, down);
        must(Arrays.equals(Files.readAllBytes(down.get(0).getOutputDestination()), big));
      }
    });
    step("bucket labels", () -> {
      Bucket told = s.get(name).toBuilder().setLabels(Map.of("a", "b")).setVersioningEnabled(true).build().update();
      must(told.getLabels().get("a").equals("b") && told.versioningEnabled());
    });
    step("life cycle", () -> {
      LifecycleRule.LifecycleCondition old = LifecycleRule.LifecycleCondition.newBuilder().setAge(30).build();
      LifecycleRule rule = new LifecycleRule(LifecycleRule.LifecycleAction.newDeleteAction(), old);
      must(s.get(name).toBuilder().setLifecycleRules(List.of(rule)).build().update().getLifecycleRules().size() == 1);
    });
    step("policy", () -> must(!s.getIamPolicy(name, Storage.BucketSourceOption.requestedPolicyVersion(3)).getBindingsList().isEmpty()));
    step("permissions", () -> must(s.testIamPermissions(name, List.of("storage.objects.get", "storage.objects.delete")).equals(List.of(true, true))));
    step("versions", () -> {
      s.create(BlobInfo.newBuilder(name, "small.txt").build(), "again".getBytes());
      must(count(s.list(name, Storage.BlobListOption.prefix("small"), Storage.BlobListOption.versions(true)).iterateAll()) == 2);
    });
    step("delete all", () -> {
      List<BlobId> ids = new ArrayList<>();
      s.list(name, Storage.BlobListOption.versions(true)).iterateAll().forEach(blob -> ids.add(blob.getBlobId()));
      must(!s.delete(ids).contains(false) && s.delete(name) && s.get(name) == null);
    });
  }

  private static void logging() throws Exception {
    try (Logging logging = LoggingOptions.getDefaultInstance().getService()) {
      step("log write", () -> {
        MonitoredResource global = MonitoredResource.newBuilder("global").build();
        LogEntry text = LogEntry.newBuilder(StringPayload.of("hi")).setSeverity(Severity.INFO).setLogName("java-log").setResource(global).build();
        LogEntry json = LogEntry.newBuilder(JsonPayload.of(Map.of("a", 1))).setSeverity(Severity.ERROR).setLogName("java-log").setResource(global).build();
        logging.write(List.of(text, json));
        logging.flush();
      });
      step("log read", () -> {
        String filter = "logName=\"projects/" + PROJECT + "/logs/java-log\"";
        must(count(logging.listLogEntries(Logging.EntryListOption.filter(filter)).iterateAll()) == 2);
        must(count(logging.listLogEntries(Logging.EntryListOption.filter(filter + " AND severity>=ERROR")).iterateAll()) == 1);
      });
      step("logs", () -> must(count(logging.listLogs().iterateAll()) >= 1));
      step("sinks", () -> must(count(logging.listSinks().iterateAll()) >= 2));
      step("log delete", () -> must(logging.deleteLog("java-log")));
    }
  }

  private static void messages() throws Exception {
    TopicName topic = TopicName.of(PROJECT, "java-topic");
    SubscriptionName subscription = SubscriptionName.of(PROJECT, "java-sub");
    try (TopicAdminClient topics = TopicAdminClient.create(); SubscriptionAdminClient subscriptions = SubscriptionAdminClient.create()) {
      step("topic", () -> topics.createTopic(topic));
      step("subscription", () -> subscriptions.createSubscription(subscription, topic, PushConfig.getDefaultInstance(), 10));
      step("publish", () -> {
        Publisher publisher = Publisher.newBuilder(topic).build();
        must(!publisher.publish(PubsubMessage.newBuilder().setData(ByteString.copyFromUtf8("x")).putAttributes("a", "b").build()).get().isEmpty());
        publisher.shutdown();
      });
      step("pull", () -> {
        ReceivedMessage got = subscriptions.pull(PullRequest.newBuilder().setSubscription(subscription.toString()).setMaxMessages(1).build()).getReceivedMessages(0);
        must(got.getMessage().getData().toStringUtf8().equals("x") && got.getMessage().getAttributesOrThrow("a").equals("b"));
        subscriptions.acknowledge(subscription, List.of(got.getAckId()));
      });
      step("receive", () -> {
        var got = new CompletableFuture<String>();
        Subscriber subscriber = Subscriber.newBuilder(subscription.toString(), (MessageReceiver) (message, reply) -> {
          reply.ack();
          got.complete(message.getData().toStringUtf8());
        }).build();
        subscriber.startAsync().awaitRunning();
        Publisher publisher = Publisher.newBuilder(topic).build();
        publisher.publish(PubsubMessage.newBuilder().setData(ByteString.copyFromUtf8("y")).build()).get();
        publisher.shutdown();
        must(got.get(20, TimeUnit.SECONDS).equals("y"));
        subscriber.stopAsync().awaitTerminated(10, TimeUnit.SECONDS);
      });
      step("subscription delete", () -> subscriptions.deleteSubscription(subscription));
      step("topic delete", () -> topics.deleteTopic(topic));
    }
  }

  private static CustomJob job(String display, String program) {
    ContainerSpec container = ContainerSpec.newBuilder().setImageUri("python:3.11").addAllCommand(List.of("python", "-c", program)).build();
    WorkerPoolSpec pool = WorkerPoolSpec.newBuilder().setContainerSpec(container).setReplicaCount(1)
        .setMachineSpec(MachineSpec.newBuilder().setMachineType("n1-standard-4")).build();
    return CustomJob.newBuilder().setDisplayName(display).setJobSpec(CustomJobSpec.newBuilder().addWorkerPoolSpecs(pool)).build();
  }

  private static JobState waited(JobServiceClient jobs, String name) throws Exception {
    JobState state = jobs.getCustomJob(name).getState();
    while (!List.of(JobState.JOB_STATE_SUCCEEDED, JobState.JOB_STATE_FAILED, JobState.JOB_STATE_CANCELLED).contains(state)) {
      Thread.sleep(200);
      state = jobs.getCustomJob(name).getState();
    }
    return state;
  }

  private static void jobs() throws Exception {
    String parent = "projects/" + PROJECT + "/locations/us-central1";
    String[] names = new String[2];
    JobServiceSettings settings = JobServiceSettings.newBuilder().setEndpoint("us-central1-aiplatform.googleapis.com:443").build();
    try (JobServiceClient jobs = JobServiceClient.create(settings)) {
      step("job create", () -> names[0] = jobs.createCustomJob(parent, job("java", "print(1)")).getName());
      step("job get", () -> must(jobs.getCustomJob(names[0]).getDisplayName().equals("java")));
      step("job wait", 180, () -> must(waited(jobs, names[0]) == JobState.JOB_STATE_SUCCEEDED, jobs.getCustomJob(names[0])));
      step("job list", () -> must(count(jobs.listCustomJobs(parent).iterateAll()) >= 1));
      step("job cancel", 180, () -> {
        names[1] = jobs.createCustomJob(parent, job("java", "import time; time.sleep(600)")).getName();
        jobs.cancelCustomJob(names[1]);
        must(waited(jobs, names[1]) == JobState.JOB_STATE_CANCELLED);
      });
      step("job delete", () -> jobs.deleteCustomJobAsync(names[0]).get());
      step("no job", () -> {
        try {
          jobs.getCustomJob(names[0]);
        } catch (ApiException error) {
          must(error.getStatusCode().getCode() == StatusCode.Code.NOT_FOUND, error);
          return;
        }
        must(false, "still there");
      });
    }
  }

  public static void main(String[] arguments) throws Exception {
    storage();
    logging();
    messages();
    jobs();
    System.out.println(good + " / " + all);
    System.exit(0);
  }
}
