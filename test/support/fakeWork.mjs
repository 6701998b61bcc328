// A worker process of workProcess.test.ts: squares numbers, and fails as it is told to.
process.on('message', (request) => {
  if (request.kind === 'close') process.disconnect();
  if (request.kind === 'open') {
    if (request.job === 'refuse')
      process.send({ kind: 'failed', message: 'no such model', isInput: true });
    else process.send({ kind: 'opened', facts: { argument: process.argv[2], job: request.job } });
  }
  if (request.kind === 'do') {
    if (request.index === 13) process.exit(3);
    if (request.index === 12) process.send({ kind: 'failed', message: 'twelve', isInput: false });
    else process.send({ kind: 'done', result: BigInt(request.index) ** 2n });
  }
});
