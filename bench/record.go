package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// record is the figures of one machine.
type record struct {
	Machine string   `json:"machine"`
	Figures []figure `json:"figures"`
}

// readRecord reads what was kept in a file; nothing if there is none.
func readRecord(file string) (record, error) {
	var r record
	data, err := os.ReadFile(file)
	if file == "" || errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	return r, err
}

// belongsTo makes an empty record that of a machine. Figures of two would not
// compare.
func (r *record) belongsTo(machine string) error {
	if len(r.Figures) > 0 && r.Machine != machine {
		return fmt.Errorf("has figures of %s, and this is %s: remove it first, or name another file", r.Machine, machine)
	}
	r.Machine = machine
	return nil
}

// merge adds figures, in place of those of the same work and size, and drops those
// of what is measured no more.
func (r *record) merge(figures []figure) {
	kept := slices.DeleteFunc(r.Figures, func(old figure) bool {
		return slices.ContainsFunc(figures, func(f figure) bool {
			return f.Heading == old.Heading && f.Work == old.Work && f.Size == old.Size
		})
	})
	r.Figures = inOrder(append(kept, figures...))
}

func (r record) write(file string) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
