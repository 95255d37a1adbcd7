package postgres

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
		var s directory.SignIn
		var number, success, failure, changed, every int64
		err := row.Scan(&number, &s.Successes, &s.Failures, &s.Streak, &success, &failure, &changed, &s.Locked, &s.MustChange, &every)
		s.LastSuccess, s.LastFailure, s.Changed, s.ChangeEvery = fromMicros(success), fromMicros(failure), fromMicros(changed), int(every)
		found[id.Number(number)] = s
		return err
	}, `SELECT number, successes, failures, streak, last_success, last_failure, changed, locked, must_change, change_every
 FROM signins WHERE tenant = $1 AND number = ANY($2)`, r.pk, integers(users))
	return found, err
}

// PutSignIn implements [directory.Writer].
func (w *writer) PutSignIn(u directory.User, before, after directory.SignIn) error {
	if err := w.save(); err != nil {
		return err
	}
	err := w.c.exec(w.ctx, `INSERT INTO signins (tenant, number, successes, failures, streak, last_success, last_failure, changed, locked, must_change, change_every)
 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (tenant, number) DO UPDATE SET successes = excluded.successes, failures = excluded.failures,
 streak = excluded.streak, last_success = excluded.last_success, last_failure = excluded.last_failure, changed = excluded.changed,
 locked = excluded.locked, must_change = excluded.must_change, change_every = excluded.change_every`,
		w.pk, int64(u.Number), after.Successes, after.Failures, after.Streak, micros(after.LastSuccess), micros(after.LastFailure), micros(after.Changed),
		after.Locked, after.MustChange, int64(after.ChangeEvery))
	if err != nil {
		return err
	}
	if change, any := directory.SignInChange(u, before, after); any {
		w.record(change)
	}
	return nil
}
