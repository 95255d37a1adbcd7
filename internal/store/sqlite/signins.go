package sqlite

import (
	"roster/internal/directory"
	"roster/internal/id"
)

// SignIns implements [directory.Reader].
func (r *reader) SignIns(users []id.Number) (map[id.Number]directory.SignIn, error) {
	found := make(map[id.Number]directory.SignIn, len(users))
	if len(users) == 0 {
		return found, nil
	}
	err := r.c.each(r.ctx, func(row scanner) error {
		var number id.Number
		var s directory.SignIn
		var success, failure, changed int64
		err := row.Scan(&number, &s.Successes, &s.Failures, &s.Streak, &success, &failure, &changed, &s.Locked, &s.MustChange, &s.ChangeEvery)
		s.LastSuccess, s.LastFailure, s.Changed = fromMicros(success), fromMicros(failure), fromMicros(changed)
		found[number] = s
		return err
	}, `SELECT number, successes, failures, streak, last_success, last_failure, changed, locked, must_change, change_every
 FROM signins WHERE tenant = ? AND number IN (SELECT value FROM json_each(?))`, r.pk, integers(users))
	return found, err
}

// PutSignIn implements [directory.Writer].
func (w *writer) PutSignIn(u directory.User, before, after directory.SignIn) error {
	if err := w.save(); err != nil {
		return err
	}
	err := w.c.exec(w.ctx, `INSERT INTO signins (tenant, number, successes, failures, streak, last_success, last_failure, changed, locked, must_change, change_every)
 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant, number) DO UPDATE SET successes = excluded.successes, failures = excluded.failures,
 streak = excluded.streak, last_success = excluded.last_success, last_failure = excluded.last_failure, changed = excluded.changed,
 locked = excluded.locked, must_change = excluded.must_change, change_every = excluded.change_every`,
		w.pk, int64(u.Number), after.Successes, after.Failures, after.Streak, micros(after.LastSuccess), micros(after.LastFailure), micros(after.Changed),
		after.Locked, after.MustChange, after.ChangeEvery)
	if err != nil {
		return err
	}
	if change, any := directory.SignInChange(u, before, after); any {
		w.record(change)
	}
	return nil
}
