package transfer

import (
	"fmt"
	"strings"
)

// Type says what values a column has. In every engine's rows an Integer is an
// int64, a Text a string, a Bool a bool, Bytes and an ID are a []byte that is not
// nil, and NULL is nil.
type Type int

// The types of columns.
const (
	Integer Type = iota
	Text
	Bytes
	Bool
	ID // 16 bytes
)

// Column is a column that is copied as it is.
type Column struct {
	Name string
	Type Type
	Null bool // whether it may hold none
}

// Derivation says how a column follows from another.
type Derivation int

// The derivations.
const (
	Fold           Derivation = iota // [directory.FoldName]
	Sort                             // [directory.SortKey]
	FoldAttributes                   // [directory.FoldAttributes]
)

// Derived is a column that is not copied: each engine makes it, in its own form,
// from one that is.
type Derived struct {
	Name, From string
	How        Derivation
}

// Table is what a deployment holds of one kind. An engine may keep it under other
// names, or in two tables.
type Table struct {
	Name    string
	Columns []Column
	Derived []Derived
	Key     int // how many of the columns, from the first on, tell rows apart
}

// OfTenants reports whether each row belongs to the tenant whose pk its first
// column is.
func (t *Table) OfTenants() bool { return t.Columns[0].Name == "tenant" }

// Column returns the index of a column.
func (t *Table) Column(name string) int {
	for i, c := range t.Columns {
		if c.Name == name {
			return i
		}
	}
	panic(t.Name + " has no column " + name)
}

// Tables are everything that a deployment holds, in the order in which it is
// copied. An engine's test fails when its schema has a table or a column that is
// neither here nor on the engine's own list of what it makes itself: whoever adds
// one decides which of the two it is.
var Tables = []*Table{
	table("counters", 1, "name:text next"),
	table("tenants", 1, `pk id:id code name:text title:text version created modified attributes:text?
 revision at next_user next_group next_serial shape horizon clocked due`),
	table("persons", 1, "id:id code email_fold:text?"),
	table("users", 2, `tenant number id:id code person:id name:text name_fold:text email:text email_fold:text? email_verified:bool
 given_name:text family_name:text display_name:text suspended:bool expires version created modified created_in modified_in
 externals:text? attributes:text?`,
		Derived{"name_sort", "name_fold", Sort}, Derived{"given_fold", "given_name", Fold}, Derived{"family_fold", "family_name", Fold},
		Derived{"display_fold", "display_name", Fold}, Derived{"attributes_fold", "attributes", FoldAttributes}),
	table("groups", 2, `tenant number id:id code name:text name_fold:text description:text grants built_in:bool version
 created modified created_in modified_in externals:text? attributes:text? joins:text`,
		Derived{"name_sort", "name_fold", Sort}, Derived{"description_fold", "description", Fold},
		Derived{"attributes_fold", "attributes", FoldAttributes}),
	table("externals", 4, "tenant kind source:text key:text number"),
	table("graves", 3, "tenant kind number id:id code name:text"),
	table("edges", 3, "tenant grp member serial revision added starts ends role source:text? reason:text?"),
	table("periods", 4, "tenant grp member revision ended serial added starts ends role source:text? reason:text?"),
	table("pasts", 4, "tenant kind number ended created id:id code name:text name_fold:text suspended:bool expires"),
	table("log", 2, "tenant revision at credential:id? actor_user:id? actor:text dialect:text request:text body:text"),
	table("credentials", 2, `tenant id:id code kind:text name:text handle:text user_id:id? parent:id? grants expires created used
 sealed:bytes? hash:bytes attributes:text?`),
	table("signins", 2, "tenant number successes failures streak last_success last_failure changed locked:bool must_change:bool change_every"),
	table("visits", 3, "tenant number day count"),
	table("kept", 3, "tenant credential:id key:text at fingerprint:bytes answer:bytes"),
}

var types = map[string]Type{"": Integer, "text": Text, "bytes": Bytes, "bool": Bool, "id": ID}

// table reads columns written as name:type, with a question mark if they may
// hold none; what has no type is an integer.
func table(name string, key int, columns string, derived ...Derived) *Table {
	t := &Table{Name: name, Key: key, Derived: derived}
	for _, field := range strings.Fields(columns) {
		field, null := strings.CutSuffix(field, "?")
		column, kind, _ := strings.Cut(field, ":")
		typ, ok := types[kind]
		if !ok {
			panic(fmt.Sprintf("%s.%s is of no type", name, column))
		}
		t.Columns = append(t.Columns, Column{column, typ, null})
	}
	return t
}

// Find returns the table of a name.
func Find(name string) *Table {
	for _, t := range Tables {
		if t.Name == name {
			return t
		}
	}
	panic("there is no table " + name)
}

// Schema is what a database has: the columns of each table.
type Schema map[string][]string

// Unknown compares a schema with [Tables], as an engine keeps them, and returns
// what either has that the other does not. physical names the engine's table and
// column of one of ours; own is what else the engine has, as table or
// table.column.
func Unknown(have Schema, physical func(table, column string) (string, string), own ...string) (complaints []string) {
	known := map[string]bool{}
	tables := map[string]bool{}
	for _, name := range own {
		table, _, _ := strings.Cut(name, ".")
		known[name], tables[table] = true, true
	}
	want := func(t *Table, column string) {
		table, column := physical(t.Name, column)
		tables[table], known[table+"."+column] = true, true
		for _, c := range have[table] {
			if c == column {
				return
			}
		}
		complaints = append(complaints, fmt.Sprintf("%s.%s is copied, and is not there", table, column))
	}
	for _, t := range Tables {
		for _, c := range t.Columns {
			want(t, c.Name)
		}
		for _, d := range t.Derived {
			want(t, d.Name)
		}
	}
	for table, columns := range have {
		if known[table] {
			continue // the engine's own, all of it
		}
		if !tables[table] {
			complaints = append(complaints, fmt.Sprintf("nothing says whether the table %s is copied: see transfer.Tables", table))
			continue
		}
		for _, column := range columns {
			if !known[table+"."+column] {
				complaints = append(complaints, fmt.Sprintf("nothing says whether %s.%s is copied: see transfer.Tables", table, column))
			}
		}
	}
	return complaints
}
