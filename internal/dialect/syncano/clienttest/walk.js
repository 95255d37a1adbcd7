// Walks through what the JavaScript client can do with accounts, instances, API
// keys, users, groups, memberships and batches, and checks what it makes of the
// answers. Usage: node walk.js MODULE HOST:PORT VERSION
'use strict';

const assert = require('assert');
const recorder = require('./recorder');

const [module_, address, version] = process.argv.slice(2);
const Syncano = require(module_);
const name = `walk-${version.replace(/\./g, '-')}`;

// ask waits for a query. A rejected one may otherwise never settle.
const ask = (query) => new Promise((resolve, reject) => {
  const q = typeof query.request === 'function' ? query.request().spread((value) => value) : query;
  Promise.resolve(q).then(resolve, reject);
});

// refused waits for a query that must fail, and returns the error.
const refused = async (query, status) => {
  try {
    await ask(query);
  } catch (err) {
    assert.strictEqual(err.status, status, `${err}`);
    return err;
  }
  throw new Error(`it was not refused with ${status}`);
};

async function walk(proxy) {
  const admin = Syncano({ baseUrl: proxy.url });
  const steps = [];
  const step = async (what, run) => {
    steps.push(what);
    try {
      return await run();
    } catch (err) {
      err.message = `${what}: ${err.message}`;
      throw err;
    }
  };
  const { Account, Instance, ApiKey, User, Group } = admin;
  const email = `${name}@example.com`;
  const instanceName = name;

  await step('an account', async () => {
    const made = await admin.Account.register({ email, password: 'walking' });
    assert.strictEqual(made.is_active, false);
    assert.strictEqual(made.has_password, true);
    assert.match(made.account_key, /^[0-9a-f]{39}[02468ace]$/);
    await assert.rejects(() => Promise.resolve(Account.login({ email, password: 'wrong' })), (err) => err.status === 401);
    const back = await Account.login({ email, password: 'walking' });
    assert.strictEqual(back.account_key, made.account_key);
    assert.strictEqual(admin.getAccountKey(), made.account_key);
    const changed = await Account.update({ email, first_name: 'Wal', last_name: 'King' });
    assert.strictEqual(changed.first_name, 'Wal');
    const details = await Account.getUserDetails();
    assert.strictEqual(details.email, email);
    assert.strictEqual(details.account_key, undefined);
  });

  await step('instances', async () => {
    const made = await ask(Instance.please().create({ name: instanceName, description: 'walked' }));
    assert.strictEqual(made.name, instanceName);
    assert.strictEqual(made.owner.email, email);
    const got = await ask(Instance.please().get({ name: instanceName }));
    assert.strictEqual(got.description, 'walked');
    assert.strictEqual(got.role, 'full');
    const updated = await ask(Instance.please().update({ name: instanceName }, { description: 'on' }));
    assert.strictEqual(updated.description, 'on');
    const second = await ask(Instance.please().create({ name: `${instanceName}-2` }));
    const renamed = await second.rename({ new_name: `${instanceName}-3` });
    assert.strictEqual(renamed.name, `${instanceName}-3`);
    const third = await ask(Instance.please().rename({ name: `${instanceName}-3` }, { new_name: `${instanceName}-4` }));
    assert.strictEqual(third.name, `${instanceName}-4`);
    const list = await ask(Instance.please().list());
    assert.deepStrictEqual(Array.from(list, (i) => i.name), [instanceName, `${instanceName}-4`]);
    const first = await ask(Instance.please().pageSize(1).ordering('desc').list());
    assert.strictEqual(first[0].name, `${instanceName}-4`);
    assert.strictEqual((await first.next())[0].name, instanceName);
    await ask(Instance.please().delete({ name: `${instanceName}-4` }));
    await refused(Instance.please().get({ name: `${instanceName}-4` }), 404);
    const err = await refused(Instance.please().create({ name: instanceName }), 400);
    assert.match(err.message, /unique/);
  });

  const keys = await step('API keys', async () => {
    const plain = await ask(ApiKey.please().create({ instanceName }));
    for (const flag of ['ignore_acl', 'allow_user_create', 'allow_anonymous_read']) {
      assert.strictEqual(plain[flag], false, flag);
    }
    assert.match(plain.api_key, /^[0-9a-f]{39}[13579bdf]$/);
    const maker = await ask(ApiKey.please().create({ instanceName, allow_user_create: true, description: 'makes users' }));
    assert.strictEqual((await ask(ApiKey.please().get({ instanceName, id: maker.id }))).api_key, maker.api_key);
    const wide = await ask(ApiKey.please().update({ instanceName, id: plain.id }, { ignore_acl: true }));
    assert.strictEqual(wide.ignore_acl, true);
    wide.ignore_acl = false;
    const narrow = await wide.save();
    assert.strictEqual(narrow.ignore_acl, false);
    const reset = await ask(ApiKey.please().reset({ instanceName, id: plain.id }));
    assert.notStrictEqual(reset.api_key, plain.api_key);
    const again = await reset.reset();
    assert.notStrictEqual(again.api_key, reset.api_key);
    const list = await ask(ApiKey.please().list({ instanceName }));
    assert.strictEqual(list.length, 2);
    const extra = await ask(ApiKey.please().create({ instanceName }));
    await ask(ApiKey.please().delete({ instanceName, id: extra.id }));
    await refused(ApiKey.please().get({ instanceName, id: extra.id }), 404);
    const bulk = await ApiKey.please().bulkCreate([ApiKey({ instanceName }), ApiKey({ instanceName })]);
    assert.strictEqual(bulk.length, 2);
    return { plain: again.api_key, maker: maker.api_key };
  });

  const users = await step('users', async () => {
    const one = await ask(User.please().create({ instanceName, username: 'Mira', password: 'anchor-7' }));
    assert.strictEqual(one.username, 'Mira');
    assert.strictEqual(one.id, 1);
    assert.deepStrictEqual(one.groups, []);
    assert.ok(one.links.self && one.user_key && one.profile.links.self);
    const two = await User({ instanceName, username: 'otto', password: 'x', profile: { other_permissions: 'read' } }).save();
    assert.strictEqual(two.profile.other_permissions, 'read');
    const got = await ask(User.please().get({ instanceName, id: 1 }));
    assert.strictEqual(got.username, 'mira');
    assert.strictEqual(got.user_key, one.user_key);
    const patched = await ask(User.please().update({ instanceName, id: 1 }, { username: 'MiraLee' }));
    assert.strictEqual(patched.username, 'MiraLee');
    got.password = 'anchor-8';
    got.username = 'mira';
    assert.strictEqual((await got.save()).username, 'mira');
    const reset = await ask(User.please().resetKey({ instanceName, id: 1 }));
    assert.notStrictEqual(reset.user_key, one.user_key);
    assert.notStrictEqual((await reset.resetKey()).user_key, reset.user_key);
    const bulk = await User.please().bulkCreate(['a', 'b', 'c'].map((u) => User({ instanceName, username: u, password: 'p' })));
    assert.strictEqual(bulk.length, 3);
    // In a case of its own the instance is the same one.
    const list = await ask(User.please().list({ instanceName: instanceName.toUpperCase() }));
    assert.strictEqual(list.length, 5);
    assert.strictEqual(list.hasNext(), false);
    const pages = [];
    let page = await ask(User.please().pageSize(2).list({ instanceName }));
    for (;;) {
      pages.push(page.length);
      if (!page.hasNext()) break;
      page = await page.next();
    }
    assert.deepStrictEqual(pages, [2, 2, 1]);
    assert.strictEqual((await page.prev())[0].id, list[2].id);
    const down = await ask(User.please().ordering('desc').list({ instanceName }));
    assert.deepStrictEqual(Array.from(down, (u) => u.id), Array.from(list, (u) => u.id).reverse());
    const some = await ask(User.please().fields(['id', 'username']).list({ instanceName }));
    assert.strictEqual(some[0].username, 'mira');
    assert.strictEqual(some[0].user_key, undefined);
    assert.strictEqual((await User.please().first({ instanceName })).id, 1);
    assert.deepStrictEqual(Object.keys(await ask(User.please().raw().list({ instanceName }))).sort(), ['next', 'objects', 'prev']);
    const err = await refused(User.please().create({ instanceName, username: 'MIRA', password: 'x' }), 400);
    assert.match(err.message, /unique/);
    await refused(User.please().get({ instanceName, id: 999 }), 404);
    await ask(User.please().delete({ instanceName, id: bulk[2].id }));
    await refused(User.please().get({ instanceName, id: bulk[2].id }), 404);
    return { one, two };
  });

  const groups = await step('groups', async () => {
    const pilots = await ask(Group.please().create({ instanceName, label: 'pilots', description: 'They fly.' }));
    assert.deepStrictEqual(Object.keys(pilots.links).sort(), ['self', 'users']);
    const twins = await Group.please().bulkCreate([Group({ instanceName, label: 'twin' }), Group({ instanceName, label: 'twin' })]);
    assert.notStrictEqual(twins[0].id, twins[1].id);
    pilots.label = 'flyers';
    assert.strictEqual((await pilots.save()).label, 'flyers');
    const patched = await ask(Group.please().update({ instanceName, id: pilots.id }, { description: 'They fell.' }));
    assert.strictEqual(patched.description, 'They fell.');
    assert.strictEqual(patched.label, 'flyers');
    assert.strictEqual((await ask(Group.please().get({ instanceName, id: pilots.id }))).label, 'flyers');
    assert.strictEqual((await ask(Group.please().list({ instanceName }))).length, 3);
    assert.strictEqual((await Group.please().getOrCreate({ instanceName, id: pilots.id }, { label: 'none' })).label, 'flyers');
    assert.strictEqual((await Group.please().updateOrCreate({ instanceName, id: pilots.id }, { label: 'pilots' })).label, 'pilots');
    await ask(Group.please().delete({ instanceName, id: twins[1].id }));
    await refused(Group.please().get({ instanceName, id: twins[1].id }), 404);
    return { pilots, other: twins[0] };
  });

  await step('groups of a user', async () => {
    const user = users.one.id;
    const added = await User.please().addGroup({ instanceName, user }, { group: groups.other.id });
    assert.strictEqual(added.id, groups.other.id);
    const model = await ask(User.please().get({ instanceName, id: user }));
    assert.strictEqual((await model.addGroup({ group: groups.pilots.id })).label, 'pilots');
    // In the order of joining, which is not that of the ids.
    const list = await User.please().getGroups({ instanceName, user });
    assert.deepStrictEqual(Array.from(list, (g) => g.id), [groups.other.id, groups.pilots.id]);
    assert.strictEqual((await model.getGroups()).length, 2);
    assert.strictEqual((await User.please().getGroup({ instanceName, user }, { id: groups.pilots.id })).label, 'pilots');
    assert.strictEqual((await model.getGroup({ id: groups.other.id })).label, 'twin');
    assert.deepStrictEqual((await ask(User.please().get({ instanceName, id: user }))).groups.map((g) => g.id), [groups.pilots.id, groups.other.id]);
  });

  await step('users of a group', async () => {
    const id = groups.pilots.id;
    const user = users.two.id;
    const added = await Group.please().addUser({ instanceName, id }, { user });
    assert.strictEqual(added.username, 'otto');
    assert.deepStrictEqual(added.groups.map((g) => g.id), [id]);
    assert.deepStrictEqual(Array.from(await Group.please().users({ instanceName, id }), (u) => u.username), ['mira', 'otto']);
    assert.strictEqual((await groups.pilots.users()).length, 2);
    assert.strictEqual((await Group.please().getUserDetails({ instanceName, id }, { user })).username, 'otto');
    assert.strictEqual((await groups.pilots.getUserDetails({ user })).id, user);
    await ask(Group.please().deleteUser({ instanceName, id }, { user }));
    assert.strictEqual((await groups.pilots.addUser({ user })).id, user);
    await ask(groups.pilots.deleteUser({ user }));
    assert.strictEqual((await groups.pilots.users()).length, 1);
  });

  await step('a second time, and not at all', async () => {
    // The helpers swallow what rejects their queries; the wire says it.
    const from = proxy.seen.length;
    const settle = (p) => Promise.race([Promise.resolve(p).then(() => {}, () => {}), new Promise((r) => setTimeout(r, 300))]);
    await settle(User.please().addGroup({ instanceName, user: users.one.id }, { group: groups.pilots.id }));
    await settle(User.please().getGroup({ instanceName, user: users.one.id }, { id: 999 }));
    await settle(User.please().deleteGroup({ instanceName, user: users.one.id }, { id: groups.other.id }));
    await settle(User.please().deleteGroup({ instanceName, user: users.one.id }, { id: groups.other.id }));
    assert.deepStrictEqual(proxy.seen.slice(from).map((e) => e.status), [400, 404, 204, 404]);
  });

  await step('sign-in and self-service', async () => {
    const app = Syncano({ baseUrl: proxy.url, apiKey: keys.maker, defaults: { instanceName } });
    const made = await ask(app.User.please().create({ username: 'nina', password: 'needle' }));
    await refused(app.User.please().list(), 403);
    await refused(app.User.please().login({}, { username: 'nina', password: 'wrong' }), 401);
    const me = await app.User.please().login({}, { username: 'NINA', password: 'needle' });
    assert.strictEqual(me.id, made.id);
    assert.strictEqual(app.getUserKey(), made.user_key);
    // With both keys the client asks user/, whatever the id.
    assert.strictEqual((await ask(app.User.please().get({ id: 12345 }))).username, 'nina');
    assert.strictEqual((await ask(app.User.please().update({ id: 12345 }, { username: 'Nina2' }))).username, 'Nina2');
    assert.strictEqual((await ask(app.User.please().list())).length, 1);
    assert.strictEqual((await ask(app.User.please().resetKey({ id: made.id }))).id, made.id);
    await refused(app.User.please().socialLogin({ backend: 'facebook' }, { access_token: 'nobody' }), 401);
  });

  await step('a stale user key beside an account key', async () => {
    const both = Syncano({ baseUrl: proxy.url, accountKey: admin.getAccountKey(), userKey: '0'.repeat(40), defaults: { instanceName } });
    assert.ok((await ask(both.User.please().list())).length > 1);
  });

  await step('a batch', async () => {
    const manager = admin.BatchManager({ instanceName });
    const objects = ['x', 'y'].map((u) => User({ instanceName, username: `batch-${u}`, password: 'p' }));
    const answers = await manager.addObjectsFromArray(objects, 'create').batch();
    assert.deepStrictEqual(answers.map((a) => a.code), [200, 200]);
    assert.deepStrictEqual(answers.map((a) => a.content.username), ['batch-x', 'batch-y']);
    const [x] = answers.map((a) => User.fromJSON(a.content, { instanceName }));
    x.username = 'batch-z';
    const next = admin.BatchManager({ instanceName });
    next.addObjects({ object: x, action: 'update' }, { object: x, action: 'delete' });
    const ends = await next.batch();
    assert.deepStrictEqual(ends.map((a) => a.code), [200, 204]);
    assert.strictEqual(ends[1].content, undefined);
  });

  await step('the ping', async () => {
    const answer = await new Promise((resolve, reject) => {
      require('http').get(`${proxy.url}/`, (res) => resolve(res.statusCode)).on('error', reject);
    });
    assert.strictEqual(answer, 200);
  });

  await step('the end', async () => {
    await ask(Instance.please().delete({ name: instanceName }));
  });
  return steps;
}

(async () => {
  const proxy = await recorder.start(address);
  const steps = await walk(proxy);
  assert.deepStrictEqual(proxy.faults(), [], 'redirected, failed, or 204 with a body');
  const tunnelled = proxy.seen.filter((e) => e.method === 'POST' && /^text\/plain/.test(e.type || '')).length;
  if (version === '1.0.29') {
    assert.ok(tunnelled > 50, 'this release sends everything through the tunnel');
  }
  await proxy.stop();
  console.log(`${steps.length} steps, ${proxy.seen.length} requests, ${tunnelled} of them tunnelled`);
  process.exit(0);
})().catch((err) => {
  console.error(err);
  process.exit(1);
});
process.on('unhandledRejection', () => {}); // of queries whose outcome the wire shows
