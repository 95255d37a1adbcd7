package directory

import (
	"context"
	"errors"
	"time"

	"roster/internal/id"
)

// tickEvery is how long a membership that the clock began or ended goes without a
// record in a tenant that nobody writes to. No answer waits for it.
const tickEvery = time.Second

// KeepTime leaves a record, in every tenant, whenever a membership's date comes,
// until ctx ends. Any number of nodes may: one of them does, or whoever writes to
// the tenant first.
func (d *Directory) KeepTime(ctx context.Context) {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := d.Tick(ctx); err != nil && ctx.Err() == nil {
			d.log.ErrorContext(ctx, "dates not recorded", "err", err)
		}
	}
}

// clockAuthor is whom the change log names for a commit that no principal made.
var clockAuthor = Author{Actor: Actor{Name: "clock"}, Dialect: "clock"}

// Tick records the dates that have come in all tenants, and returns when that is
// done. What could not be done in one tenant does not keep the others from it.
func (d *Directory) Tick(ctx context.Context) error {
	const many = 100
	var failed []error
	tried := map[id.Tenant]bool{}
	for {
		due, err := d.store.Due(ctx, d.Now(), many+len(failed))
		if err != nil {
			return err
		}
		fresh := 0
		for _, t := range due {
			if tried[t] {
				continue
			}
			tried[t] = true
			fresh++
			if err := d.tick(ctx, t); err != nil && !errors.Is(err, NotFound) {
				failed = append(failed, err)
			}
		}
		if fresh == 0 || ctx.Err() != nil {
			return errors.Join(failed...)
		}
	}
}

func (d *Directory) tick(ctx context.Context, t id.Tenant) error {
	rev, err := d.store.Update(ctx, t, clockAuthor, func(Writer) error { return nil })
	if err != nil {
		return err
	}
	if err := d.catchUp(context.WithoutCancel(ctx), t, rev); err != nil {
		d.forget(ctx, t, rev, err)
	}
	return nil
}
