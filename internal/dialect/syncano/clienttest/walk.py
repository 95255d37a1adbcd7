# Walks through what the Python client can do with users, groups, memberships,
# API keys, instances and batches. Usage: python walk.py HOST:PORT
from __future__ import print_function

import json
import sys

import requests

seen = []
send = requests.Session.send


def remember(self, request, **kwargs):
    kwargs['allow_redirects'] = False
    answer = send(self, request, **kwargs)
    seen.append((request.method, request.path_url, answer.status_code, len(answer.content)))
    return answer


requests.Session.send = remember

address = 'http://%s/' % sys.argv[1]
EMAIL, PASSWORD, INSTANCE = 'walk-py@example.com', 'walking', 'walk-python'

import syncano  # noqa: E402
from syncano.exceptions import SyncanoRequestError, UserNotFound  # noqa: E402
from syncano.models import Group, User, registry  # noqa: E402


def refused(call, status=None, kind=SyncanoRequestError):
    try:
        call()
    except kind as e:
        if status is not None:
            assert e.status_code == status, e
        return e
    raise AssertionError('it was not refused')


answer = requests.post(address + 'v1.1/account/register/', data=json.dumps({'email': EMAIL, 'password': PASSWORD}),
                       headers={'content-type': 'application/json'})
assert answer.status_code == 201, answer.text
account_key = answer.json()['account_key']

# An account signs in with its password, and makes an instance.
connection = syncano.connect(host=address, email=EMAIL, password=PASSWORD)
instance = connection.Instance.please.create(name=INSTANCE, description='walked')
assert instance.name == INSTANCE and instance.owner.email == EMAIL, instance
assert [i.name for i in connection.Instance.please.list()] == [INSTANCE]
info = connection.connection().get_account_info()
assert info['email'] == EMAIL and 'account_key' not in info, info

# With the key instead, and an instance to work in.
syncano.connect(host=address, api_key=account_key, instance_name=INSTANCE)

key = instance.api_keys.create(allow_user_create=True, ignore_acl=False, allow_anonymous_read=False)
assert key.allow_user_create and not key.ignore_acl, key
assert len(list(instance.api_keys.all())) == 1

mira = User.please.create(username='Mira', password='anchor-7')
assert mira.id == 1 and mira.user_key and mira.profile.owner_permissions == 'full', mira
mira = User.please.get(id=1)
assert mira.username == 'mira', mira.username
for name in ('otto', 'nina', 'tove'):
    User.please.create(username=name, password='x')
assert [u.username for u in User.please.list()] == ['mira', 'otto', 'nina', 'tove']
assert [u.id for u in User.please.page_size(2).ordering('desc')] == [4, 3, 2, 1]
mira.password = 'anchor-8'
mira.profile.other_permissions = 'read'
mira.save()
assert User.please.get(id=1).profile.other_permissions == 'read'
assert User.please.update(id=1, username='miralee').username == 'miralee'
old = mira.user_key
assert mira.reset_key()['user_key'] != old
mira.reload()
mira.profile.group_permissions = 'write'
mira.profile.save()
assert User.please.get(id=1).profile.group_permissions == 'write'
assert refused(lambda: User.please.create(username='OTTO', password='x'), 400).reason

# The class behind the profiles gets a field.
klass = mira.profile.get_class_object()
klass.schema = [{'name': 'town', 'type': 'string'}, {'name': 'born', 'type': 'datetime'}]
klass.save()
assert klass.revision == 2, klass.revision
registry.clear_used_instance()
registry.set_used_instance(INSTANCE)

pilots = Group.please.create(label='pilots', description='They fly.')
divers = Group.please.create(label='divers')
pilots.label = 'flyers'
pilots.save()
assert Group.please.get(id=pilots.id).label == 'flyers'
assert [g.label for g in Group.please.list()] == ['flyers', 'divers']

# Both sides of a membership.
assert mira.list_groups() == []
assert mira.add_to_group(group_id=divers.id).id == divers.id
assert mira.add_to_group(group_id=pilots.id).id == pilots.id
assert [g.id for g in mira.list_groups()] == [divers.id, pilots.id]
assert mira.group_details(group_id=pilots.id).label == 'flyers'
assert mira.remove_from_group(group_id=divers.id) is None
refused(lambda: mira.add_to_group(group_id=pilots.id), 400)
refused(lambda: mira.group_details(group_id=divers.id), 404)
assert pilots.add_user(user_id=2).id == 2
assert [u.id for u in pilots.list_users()] == [1, 2]
assert pilots.user_details(user_id=2).username == 'otto'
assert pilots.delete_user(user_id=2) is None
refused(lambda: pilots.user_details(user_id=2), kind=UserNotFound)
refused(lambda: User.please.get(id=99), kind=User.DoesNotExist)

# Batches of users, through the manager.
made = instance.users.batch(
    instance.users.as_batch().create(username='b1', password='x'),
    instance.users.as_batch().create(username='b2', password='x'),
    instance.users.as_batch().delete(id=3),
)
assert [getattr(m, 'username', m) for m in made][:2] == ['b1', 'b2'], made
refused(lambda: User.please.get(id=3), kind=User.DoesNotExist)
bulk = User.please.bulk_create(User(username='b3', password='x'), User(username='b4', password='x'))
assert [u.username for u in bulk] == ['b3', 'b4'], bulk
both = User.please.in_bulk([1, 2])
assert both[2].username == 'otto', both

# A user of the instance signs in, and sees itself.
session = syncano.connect(host=address, username='miralee', password='anchor-8', api_key=key.api_key, instance_name=INSTANCE)
assert [u.username for u in User.please.list()] == ['miralee']
me = session.connection().get_user_info()
assert me['username'] == 'miralee' and me['groups'][0]['label'] == 'flyers', me
signed = User().auth(username='miralee', password='anchor-8')
assert signed['user_key'] == me['user_key'], signed
session = syncano.connect(host=address, user_key=me['user_key'], api_key=key.api_key, instance_name=INSTANCE)
assert session.connection().get_user_info()['id'] == 1
bad = syncano.connect(host=address, username='miralee', password='wrong', api_key=key.api_key, instance_name=INSTANCE)
refused(lambda: list(bad.User.please.list()), 401)

# The end.
connection = syncano.connect(host=address, api_key=account_key)
instance = connection.Instance.please.get(name=INSTANCE)
instance.rename(new_name=INSTANCE + '-2')
connection.Instance.please.delete(name=INSTANCE + '-2')

faults = [e for e in seen if 300 <= e[2] < 400 or e[2] >= 500 or (e[2] == 204 and e[3])]
assert not faults, faults
print('%d requests' % len(seen))
