// A proxy between a client and the server that remembers every exchange, so that
// a walk can say what must never happen, whatever a client makes of it.
'use strict';

const http = require('http');

// start listens on loopback in front of a server, and resolves to a recorder.
exports.start = (target) => new Promise((resolve) => {
  const [host, port] = target.split(':');
  const seen = [];
  const proxy = http.createServer((req, res) => {
    const onward = http.request({ host, port, method: req.method, path: req.url, headers: req.headers }, (answer) => {
      const chunks = [];
      answer.on('data', (c) => chunks.push(c));
      answer.on('end', () => {
        const body = Buffer.concat(chunks);
        seen.push({ method: req.method, path: req.url, status: answer.statusCode, length: body.length, key: req.headers['x-api-key'], type: req.headers['content-type'] });
        res.writeHead(answer.statusCode, answer.headers);
        res.end(body);
      });
    });
    req.pipe(onward);
  });
  proxy.listen(0, '127.0.0.1', () => resolve({
    url: `http://127.0.0.1:${proxy.address().port}`,
    seen,
    // faults are the exchanges that no client may ever meet.
    faults: () => seen.filter((e) => (e.status >= 300 && e.status < 400) || e.status >= 500 || (e.status === 204 && e.length > 0)),
    stop: () => new Promise((done) => { proxy.closeAllConnections(); proxy.close(done); }),
  }));
});
