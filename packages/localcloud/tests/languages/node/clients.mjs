// What users of Google's clients for Node do every day: a line for each step, then how many passed of how many.
import {Storage, TransferManager} from '@google-cloud/storage';
import {Logging} from '@google-cloud/logging';
import {PubSub} from '@google-cloud/pubsub';
import aip from '@google-cloud/aiplatform';
import fs from 'fs';
import crypto from 'crypto';
const steps = [];
async function step(name, f) {
  const t = Date.now();
  try {
    await Promise.race([f(), new Promise((_, r) => setTimeout(() => r(new Error('timeout 25 s')), 25000))]);
    steps.push([name, 'ok', Date.now() - t]);
  } catch (e) {
    steps.push([name, 'FAIL ' + (e.code || '') + ' ' + String(e.message).slice(0, 300)]);
  }
  console.log(steps.at(-1).join(' | '));
}
const assert = (c, m) => {
  if (!c) throw new Error('assert ' + (m || ''));
};
const project = process.env.GOOGLE_CLOUD_PROJECT;
const s = new Storage();
const name = 'node-' + Date.now();
const b = s.bucket(name);
await step('create bucket', () => s.createBucket(name, {location: 'us-central1'}));
await step('list buckets', async () => {
  const [l] = await s.getBuckets();
  assert(l.some((x) => x.name === name));
});
await step('save small', () => b.file('small.txt').save('hello'));
await step('save small simple', () => b.file('simple.txt').save('hello', {resumable: false}));
await step('download', async () => {
  const [d] = await b.file('small.txt').download();
  assert(d.toString() === 'hello');
});
const big = crypto.randomBytes(20 * 1024 * 1024);
fs.writeFileSync('./big.bin', big);
await step('upload 20MB default', async () => {
  await b.upload('./big.bin', {destination: 'big.bin'});
  const [d] = await b.file('big.bin').download();
  assert(d.equals(big));
});
await step('upload 20MB chunked', async () => {
  await b.upload('./big.bin', {destination: 'big2.bin', chunkSize: 1024 * 1024 * 5});
  const [m] = await b.file('big2.bin').getMetadata();
  assert(m.size == big.length, m.size);
});
await step(
  'write stream',
  () =>
    new Promise((res, rej) => {
      const w = b.file('stream.bin').createWriteStream();
      w.on('finish', res);
      w.on('error', rej);
      fs.createReadStream('./big.bin').pipe(w);
    }),
);
await step(
  'write stream gzip',
  () =>
    new Promise((res, rej) => {
      const w = b.file('gz.txt').createWriteStream({gzip: true, contentType: 'text/plain'});
      w.on('finish', res);
      w.on('error', rej);
      w.end('zip me');
    }),
);
await step('read gzip', async () => {
  const [d] = await b.file('gz.txt').download();
  assert(d.toString() === 'zip me');
});
await step('range', async () => {
  const [d] = await b.file('big.bin').download({start: 10, end: 19});
  assert(d.equals(big.subarray(10, 20)));
});
await step('list files prefix', async () => {
  const [f] = await b.getFiles({prefix: 'big'});
  assert(f.length === 2);
});
await step('list delimiter', async () => {
  await b.file('d/x').save('1');
  const [f, , r] = await b.getFiles({delimiter: '/', autoPaginate: false});
  assert(r.prefixes.includes('d/'));
});
await step('pages', async () => {
  const [f] = await b.getFiles({maxResults: 2});
  assert(f.length > 2 || f.length === 2);
});
await step('set metadata', async () => {
  await b.file('small.txt').setMetadata({metadata: {a: 'b'}, cacheControl: 'no-cache'});
  const [m] = await b.file('small.txt').getMetadata();
  assert(m.metadata.a === 'b');
});
await step('copy', () => b.file('small.txt').copy(b.file('copy.txt')));
await step('move', () => b.file('copy.txt').move('moved.txt'));
await step('rename', () => b.file('moved.txt').rename('renamed.txt'));
await step('combine', () => b.combine(['small.txt', 'simple.txt'], 'both.txt'));
await step('combined', async () => {
  const [d] = await b.file('both.txt').download();
  assert(d.toString() === 'hellohello');
});
await step('precondition fails', async () => {
  try {
    await b.file('small.txt').save('x', {preconditionOpts: {ifGenerationMatch: 0}});
  } catch (e) {
    assert(e.code === 412, e.code);
    return;
  }
  assert(false);
});
await step('precondition holds', () => b.file('fresh').save('x', {preconditionOpts: {ifGenerationMatch: 0}}));
await step('exists', async () => {
  const [e] = await b.file('nope').exists();
  assert(!e);
});
await step('404', async () => {
  try {
    await b.file('nope').download();
  } catch (e) {
    assert(e.code === 404);
    return;
  }
  assert(false);
});
await step('signed read', async () => {
  const [u] = await b.file('small.txt').getSignedUrl({version: 'v4', action: 'read', expires: Date.now() + 60000});
  assert(u.includes('X-Goog-Signature'));
});
await step('signed write policy', async () => {
  const [p] = await b.file('p.txt').generateSignedPostPolicyV4({expires: Date.now() + 60000});
  assert(p.url);
});
await step('uploadFileInChunks', async () => {
  const tm = new TransferManager(b);
  await tm.uploadFileInChunks('./big.bin', {uploadName: 'chunks.bin', chunkSizeBytes: 8 * 1024 * 1024});
  const [m] = await b.file('chunks.bin').getMetadata();
  assert(m.size == big.length);
});
await step('downloadFileInChunks', async () => {
  const tm = new TransferManager(b);
  await tm.downloadFileInChunks(b.file('big.bin'), {destination: './out.bin', chunkSizeBytes: 8 * 1024 * 1024});
  assert(fs.readFileSync('./out.bin').equals(big));
});
await step('uploadManyFiles', async () => {
  const tm = new TransferManager(b);
  await tm.uploadManyFiles(['./package.json'], {prefix: 'many'});
});
await step('bucket metadata', async () => {
  await b.setLabels({a: 'b'});
  const [l] = await b.getLabels();
  assert(l.a === 'b');
});
await step('versioning', () => b.setMetadata({versioning: {enabled: true}}));
await step('lifecycle', () => b.addLifecycleRule({action: {type: 'Delete'}, condition: {age: 30}}));
await step('iam get', async () => {
  const [p] = await b.iam.getPolicy({requestedPolicyVersion: 3});
  assert(p.bindings);
});
await step('iam test', async () => {
  const [p] = await b.iam.testPermissions(['storage.objects.get']);
  assert(p['storage.objects.get']);
});
await step('delete versions', () => b.deleteFiles({versions: true, force: true}));
await step('delete bucket', () => b.delete());
const lg = new Logging();
const log = lg.log('node-log');
await step('log write', () =>
  log.write([
    log.entry({severity: 'INFO', resource: {type: 'global'}}, 'hi'),
    log.entry({severity: 'ERROR'}, {message: 'json'}),
  ]),
);
await step('log read', async () => {
  const [e] = await log.getEntries({pageSize: 10});
  assert(e.length >= 1, e.length);
});
await step('log list', async () => {
  const [e] = await lg.getLogs();
  assert(e.length);
});
await step('log delete', () => log.delete());
const ps = new PubSub();
await step('topic', () => ps.createTopic('node-topic'));
await step('sub', () => ps.topic('node-topic').createSubscription('node-sub'));
await step('publish', () => ps.topic('node-topic').publishMessage({data: Buffer.from('x')}));
await step(
  'pull',
  () =>
    new Promise((res, rej) => {
      const sub = ps.subscription('node-sub');
      sub.on('message', (m) => {
        m.ack();
        sub.close().then(res, rej);
      });
      sub.on('error', rej);
    }),
);
await step('sub delete', () => ps.subscription('node-sub').delete());
await step('topic delete', () => ps.topic('node-topic').delete());
const jc = new aip.v1.JobServiceClient({apiEndpoint: 'us-central1-aiplatform.googleapis.com'});
const parent = `projects/${project}/locations/us-central1`;
let jn;
await step('job create', async () => {
  const [j] = await jc.createCustomJob({
    parent,
    customJob: {
      displayName: 'n',
      jobSpec: {
        workerPoolSpecs: [
          {
            machineSpec: {machineType: 'n1-standard-4'},
            replicaCount: 1,
            containerSpec: {imageUri: 'python:3.11', command: ['python', '-c', 'print(1)']},
          },
        ],
      },
    },
  });
  jn = j.name;
});
await step('job get', async () => {
  const [j] = await jc.getCustomJob({name: jn});
  assert(j.displayName === 'n');
});
await step('job list', async () => {
  const [j] = await jc.listCustomJobs({parent});
  assert(j.length);
});
await step('job cancel', () => jc.cancelCustomJob({name: jn}));
console.log(steps.filter((x) => x[1] === 'ok').length, '/', steps.length);
process.exit(0);
