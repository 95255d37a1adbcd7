// Calls every method of the client on users and groups and looks at what came
// back. Arguments: where the client is installed, its version, the path prefix
// to speak, and the demo.json of the server.
'use strict';
const assert = require('node:assert/strict');
const fs = require('node:fs');
const { createRequire } = require('node:module');

const [where, version, prefix, demoFile] = process.argv.slice(2);
const load = createRequire(where + '/package.json');
const { NodejsClient, UniversalClient } = load('contensis-management-api/lib/client');
const { Query, Op, OrderBy } = load('contensis-core-api');
const demo = JSON.parse(fs.readFileSync(demoFile, 'utf8'));
const two = version.startsWith('2');

const sent = [];
const fetchFn = async (url, init) => {
  const target = String(url).replace('/api/security/', prefix);
  const answer = await fetch(target, { ...init, redirect: 'manual' });
  assert.ok(answer.status < 300 || answer.status >= 400, `${init && init.method} ${target} was redirected`);
  sent.push({ url: target, method: (init && init.method) || 'GET', status: answer.status });
  return answer;
};
const connect = (clientType, clientDetails, kind = NodejsClient) =>
  kind.create({ rootUrl: demo.base_url + '/', projectId: 'website', clientType, clientDetails, fetchFn });

const admin = connect('client_credentials', { clientId: demo.contensis.client_id, clientSecret: demo.contensis.client_secret });
const users = admin.security.users;
const groups = admin.security.groups;
const names = (page, key) => page.items.map((item) => item[key]);
const last = () => sent[sent.length - 1];

let steps = 0;
const step = async (name, fn) => {
  try {
    await fn();
    steps++;
  } catch (err) {
    console.error(`${version} ${prefix} ${name}:`, err);
    process.exit(1);
  }
};
const fails = async (promise, status) => {
  const err = await promise.then(() => assert.fail('it resolved'), (e) => e);
  assert.equal(err.status, status, JSON.stringify(err));
  return err;
};

const isPage = (page) => assert.deepEqual(Object.keys(page).sort(), ['items', 'pageCount', 'pageIndex', 'pageSize', 'totalCount']);
const isUser = (u) => {
  assert.match(u.id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  for (const key of ['username', 'email', 'firstName', 'lastName', 'timezone', 'language', 'custom', 'credentials', 'status', 'created', 'modified',
    'lastLogin', 'lastFailedLogin', 'expiry', 'passwordChanged', 'optOutOfNotifications', 'failedLoginAttempts',
    'failedLoginAttemptsSinceLastSuccess', 'successfulLoginAttempts']) assert.ok(key in u, key);
  assert.deepEqual(Object.keys(u.status).sort(), ['locked', 'passwordResetRequired', 'suspended']);
  assert.equal(typeof u.custom, 'object');
};
const isGroup = (g) => {
  for (const key of ['id', 'name', 'description', 'type', 'custom', 'userCount', 'childGroupCount', 'autoMembershipEmailDomains', 'created', 'modified']) assert.ok(key in g, key);
  assert.ok(g.custom !== null);
};

(async () => {
  let okoye, crew, pilots, night;

  await step('users.create', async () => {
    okoye = await users.create({ username: 'm.okoye', email: 'm.okoye+ops@harbour.example', firstName: 'Mina', lastName: 'Okoye', timezone: 'Etc/UTC',
      language: 'en-GB', custom: { department: 'ferries' }, credentials: { password: 'Tide-Tables-9', passwordChangeFrequency: 180 } });
    isUser(okoye);
    assert.equal(okoye.username, 'm.okoye');
    assert.deepEqual(okoye.custom, { department: 'ferries' });
    assert.equal(last().status, 201);
    assert.equal((await fails(users.create({ username: 'M.Okoye' }), 409)).data.type, 'error');
    const refused = await fails(users.create({ username: 'weak', credentials: { password: 'short' } }), 422);
    assert.equal(refused.data.type, 'Validation');
    assert.equal(refused.data.data[0].field, 'credentials.password');
  });
  if (two) {
    await step('users.create suspended', async () => {
      const late = await users.create({ username: 'late' }, true);
      assert.equal(late.status.suspended, true);
    });
  }
  await step('users.getById, getByUsername, getByEmail, getCurrent', async () => {
    for (const u of [await users.getById(okoye.id), await users.getById(`{${okoye.id.toUpperCase()}}`), await users.getByUsername('m.okoye'), await users.getByEmail('m.okoye+ops@harbour.example')]) {
      assert.equal(u.id, okoye.id);
    }
    assert.equal((await users.getCurrent()).username, 'demo-client');
    await fails(users.getByUsername('nobody'), 404);
    if (two) await fails(users.getById('7', true), 404);
  });
  await step('users.list', async () => {
    const all = await users.list();
    isPage(all);
    all.items.forEach(isUser);
    assert.equal(all.pageSize, 25);
    const page = await users.list({ q: 'RECRUIT', order: ['-username'], pageOptions: { pageIndex: 1, pageSize: 2 } });
    assert.equal(page.totalCount, 5);
    assert.equal(page.pageCount, 3);
    assert.deepEqual(names(page, 'username'), ['recruit-3', 'recruit-2']);
    if (two) {
      assert.deepEqual(names(await users.list({ zenQL: 'username="tdurden" or custom.department startswith FERR' }), 'username'), ['m.okoye', 'tdurden']);
      await fails(users.list({ zenQL: 'username=' }), 400);
    }
  });
  if (two) {
    await step('users.search', async () => {
      const search = async (...where) => names(await users.search(new Query(...where)), 'username');
      assert.deepEqual(await search(Op.contains('email', 'OKOYE')), ['m.okoye']);
      assert.deepEqual(await search(Op.or(Op.equalTo('username', 'ciri'), Op.in('username', 'tdurden', 'nobody'))), ['ciri', 'tdurden']);
      assert.deepEqual(await search(Op.startsWith('username', 'rec'), Op.not(Op.endsWith('username', '1'))), ['recruit-2', 'recruit-3', 'recruit-4', 'recruit-5']);
      assert.deepEqual(await search(Op.freeText('firstName', 'tyl')), ['tdurden']);
      assert.deepEqual(await search(Op.exists('lastName', true), Op.between('username', 'm', 'n')), ['m.okoye']);
      assert.equal((await search(Op.lessThan('created', new Date('2000-01-01')))).length, 0);
      const query = new Query(Op.startsWith('username', 'rec'));
      query.orderBy = OrderBy.desc('username');
      query.pageSize = 2;
      assert.deepEqual(names(await users.search(query), 'username'), ['recruit-5', 'recruit-4']);
      assert.equal(await users.search(null), null);
    });
  }
  await step('users.update', async () => {
    const changed = await users.update({ ...okoye, firstName: 'Mila', custom: { deck: 'upper' }, expiry: '2090-09-03T09:51:20.113' });
    assert.equal(changed.firstName, 'Mila');
    assert.equal(changed.lastName, 'Okoye');
    assert.deepEqual(changed.custom, { department: 'ferries', deck: 'upper' });
    assert.equal(changed.expiry, '2090-09-03T09:51:20.113Z');
    assert.equal((await users.update({ id: okoye.id, expiry: null })).expiry, null);
    await fails(users.update({ id: okoye.id, email: 'not an address' }), 422);
    await fails(users.update({ id: '11111111-2222-4333-8444-555555555555', firstName: 'x' }), 404);
  });
  await step('users.updatePassword', async () => {
    assert.deepEqual(await users.updatePassword({ userId: okoye.id, new: 'Tide-Tables-10' }), {});
    assert.equal(last().status, 200);
    await fails(users.updatePassword({ userId: okoye.id, new: 'Tide-Tables-11', existing: 'wrong' }), 409);
    await fails(users.updatePassword({ userId: okoye.id, new: 'mina-Okoye-1' }), 422);
  });

  await step('groups.create, getById, getByName, list, update', async () => {
    crew = await groups.create({ name: 'Harbour Crew', description: 'Everybody on the pier', custom: { colour: 'blue' } });
    isGroup(crew);
    assert.equal(last().status, 201);
    pilots = await groups.create({ name: 'Harbour Pilots', type: 'contensis' });
    night = await groups.create({ name: 'Night Watch' });
    await fails(groups.create({ name: 'harbour pilots' }), 409);
    await fails(groups.create({ name: '' }), 422);
    assert.equal((await groups.getById(crew.id)).name, 'Harbour Crew');
    assert.equal((await groups.getByName('Harbour Crew')).id, crew.id);
    await fails(groups.getByName('Nowhere'), 404);
    const all = await groups.list();
    isPage(all);
    all.items.forEach(isGroup);
    const found = await groups.list({ q: 'harbour', order: ['-name'], pageOptions: { pageSize: 1 } });
    assert.equal(found.totalCount, 2);
    assert.deepEqual(names(found, 'name'), ['Harbour Pilots']);
    if (two) assert.deepEqual(names(await groups.list({ zenQL: 'name~"harbour" and custom.colour=BLUE' }), 'name'), ['Harbour Crew']);
    const changed = await groups.update({ id: pilots.id, name: 'Harbour Pilots', description: 'Pilots on call' });
    assert.equal(changed.description, 'Pilots on call');
    await fails(groups.update({ id: night.id, name: 'Harbour Crew' }), 409);
  });
  await step('groups.addUser, hasUser, removeUser, addUsers', async () => {
    assert.deepEqual(await groups.addUser('Harbour Pilots', 'm.okoye+ops@harbour.example'), {});
    assert.equal(last().status, 204);
    await groups.addUser(pilots.id, okoye.id);
    assert.equal(await groups.hasUser(pilots.id, 'm.okoye'), true);
    assert.equal(await groups.hasUser(crew.id, okoye.id), false);
    await groups.addUsers('Night Watch', demo.contensis.user_ids);
    const missing = '11111111-2222-4333-8444-555555555555';
    assert.deepEqual((await fails(groups.addUsers(crew.id, [okoye.id, missing]), 404)).data.data, [missing]);
    assert.equal(await groups.hasUser(crew.id, okoye.id), false);
    await groups.removeUser('Night Watch', 'recruit-1');
    await fails(groups.removeUser('Night Watch', 'recruit-1'), 404);
    assert.equal((await groups.getById(night.id)).userCount, demo.contensis.user_ids.length - 1);
  });
  await step('groups.addChildGroup, addChildGroups, removeChildGroup', async () => {
    assert.deepEqual(await groups.addChildGroup(crew.id, 'Harbour Pilots'), {});
    if (two) await groups.addChildGroups('Harbour Crew', [night.id, pilots.id]);
    else await groups.addChildGroup('Harbour Crew', night.id);
    await fails(groups.addChildGroup(crew.id, crew.id), 422);
    await fails(groups.addChildGroup(pilots.id, crew.id), 422);
    await groups.removeChildGroup(crew.id, night.id);
    await fails(groups.removeChildGroup(crew.id, night.id), 404);
    await groups.addChildGroup(crew.id, night.id);
    assert.equal((await groups.getById(crew.id)).childGroupCount, 2);
    assert.equal(await groups.hasUser(crew.id, okoye.id), true);
  });
  await step('groups.getUsersByGroupId, getUsersByGroupName', async () => {
    assert.deepEqual(names(await groups.getUsersByGroupId(pilots.id), 'username'), ['m.okoye']);
    assert.deepEqual(names(await groups.getUsersByGroupName('Harbour Pilots'), 'username'), ['m.okoye']);
    if (two) {
      const all = await groups.getUsersByGroupName('Harbour Crew', { includeInherited: true, order: ['-username'], pageOptions: { pageSize: 100 } });
      assert.deepEqual(names(all, 'username'), ['recruit-5', 'recruit-4', 'recruit-3', 'recruit-2', 'm.okoye']);
      assert.deepEqual(names(await groups.getUsersByGroupId(crew.id, { includeInherited: true, excludedGroups: ['Night Watch'] }), 'username'), ['m.okoye']);
      assert.deepEqual(names(await groups.getUsersByGroupId(crew.id, { includeInherited: true, zenQL: 'username~5' }), 'username'), ['recruit-5']);
    }
  });
  await step('groups.getChildGroupsByGroupId, getChildGroupsByGroupName', async () => {
    assert.deepEqual(names(await groups.getChildGroupsByGroupId(crew.id), 'name'), ['Harbour Pilots', 'Night Watch']);
    assert.deepEqual(names(await groups.getChildGroupsByGroupName('Harbour Crew'), 'name'), ['Harbour Pilots', 'Night Watch']);
    if (two) assert.deepEqual(names(await groups.getChildGroupsByGroupId(crew.id, { includeInherited: true, includeSelf: true }), 'name'), ['Harbour Crew', 'Harbour Pilots', 'Night Watch']);
  });
  await step('users.getUserGroups, userIsMemberOf', async () => {
    assert.deepEqual(names(await users.getUserGroups(okoye.id), 'name').filter((n) => n !== 'Everyone'), ['Harbour Pilots']);
    const inherited = await users.getUserGroups({ userId: 'm.okoye', includeInherited: true, pageOptions: { pageSize: 100 } });
    assert.deepEqual(names(inherited, 'name').filter((n) => n !== 'Everyone'), ['Harbour Crew', 'Harbour Pilots']);
    assert.equal(await users.userIsMemberOf(okoye.id, 'Night Watch', 'Harbour Crew'), true);
    assert.equal(await users.userIsMemberOf('m.okoye', 'Night Watch', 'Nowhere'), false);
    assert.equal(await users.userIsMemberOf('@current', 'System Administrators'), true);
    assert.equal(await users.userIsMemberOf('@current', 'Everyone'), true);
    assert.equal(await users.userIsMemberOf(okoye.id, 'Everyone'), true);
  });

  const classic = connect('contensis_classic', { username: 'm.okoye', password: 'Tide-Tables-10' }, UniversalClient);
  await step('a user signs in and does what it may with itself', async () => {
    const own = classic.security.users;
    assert.equal((await own.getCurrent()).id, okoye.id);
    assert.equal((await own.update({ id: okoye.id, firstName: 'Mina' })).firstName, 'Mina');
    assert.equal(await own.userIsMemberOf('@current', 'Harbour Crew'), true);
    await own.getUserGroups({ userId: okoye.id, includeInherited: true });
    await fails(own.list(), 403);
    await fails(own.getById(demo.contensis.user_id), 403);
    await fails(classic.security.groups.addUser('System Administrators', okoye.id), 403);
    await fails(own.updatePassword({ userId: okoye.id, new: 'Tide-Tables-12' }), 422);
    await own.updatePassword({ userId: okoye.id, new: 'Tide-Tables-12', existing: 'Tide-Tables-10' });
    assert.equal((await own.getCurrent()).id, okoye.id);
  });
  await step('a refresh token signs in again and again', async () => {
    const fresh = connect('contensis_classic', { username: 'm.okoye', password: 'Tide-Tables-12' });
    await fresh.security.users.getCurrent();
    const { refreshToken } = fresh;
    assert.ok(refreshToken);
    for (let i = 0; i < 2; i++) {
      const again = connect('contensis_classic_refresh_token', { refreshToken });
      assert.equal((await again.security.users.getCurrent()).id, okoye.id);
    }
  });
  await step('who is refused hears why', async () => {
    const wrong = connect('contensis_classic', { username: 'm.okoye', password: 'no' });
    const err = await wrong.security.users.getCurrent().then(() => assert.fail('it signed in'), (e) => e);
    assert.match(String(err.message || JSON.stringify(err)), /IncorrectUsernameorPassword/);
  });
  if (two) {
    await step('users.suspendUser, unsuspendUser, unlockUser, setPasswordToExpirable', async () => {
      for (const [action, check] of [['suspendUser', (u) => u.status.suspended], ['unsuspendUser', (u) => !u.status.suspended], ['unlockUser', (u) => !u.status.locked],
        ['setPasswordToExpirable', (u) => u.credentials.passwordChangeFrequency === 180]]) {
        for (let i = 0; i < 2; i++) assert.deepEqual(await users[action](okoye.id), {});
        assert.ok(check(await users.getById(okoye.id)), action);
      }
    });
  }
  await step('users.delete, groups.delete', async () => {
    await fails(groups.delete('System Administrators'), 403);
    await fails(groups.removeUser('System Administrators', '@current'), 409);
    assert.deepEqual(await users.delete('m.okoye'), {});
    await fails(users.delete(okoye.id), 404);
    for (const g of [crew, pilots, night]) assert.deepEqual(await groups.delete(g.id), {});
    await fails(groups.getById(crew.id), 404);
  });
  assert.ok(sent.every((s) => s.url.includes(prefix) || s.url.includes('/authenticate/')), 'a request left the prefix');
  console.log(`contensis-management-api ${version} on ${prefix}: ${steps} steps, ${sent.length} requests`);
})();
