package main

// A question is one decision, and the setups that differ by it. The first is
// the reference.
type question struct {
	title string
	cases []namedSetup
}

// A namedSetup is a row of a table.
type namedSetup struct {
	name  string
	setup setup
	scale float64 // how many times the usual rows it writes
}

// with returns the row in which change has been made to the setup that Roster
// runs with.
func with(name string, change func(*setup)) namedSetup {
	s := roster()
	if change != nil {
		change(&s)
	}
	return namedSetup{name: name, setup: s, scale: 1}
}

// slow is [with] for a setup that reaches a tenth of the others' rate.
func slow(name string, change func(*setup)) namedSetup {
	c := with(name, change)
	c.scale = 0.1
	return c
}

// long is [with] for a question that takes several checkpoints to answer.
func long(name string, change func(*setup)) namedSetup {
	c := with(name, change)
	c.scale = 3
	return c
}

// questions returns every question about writing. What a row's name does not
// mention is as [roster] has it.
func questions() []question {
	return []question{
		{
			title: "What is kept for each membership (batches of 1,000, a prepared INSERT for each row)",
			cases: []namedSetup{
				with("one B-tree, integers", keep(layout{trees: 1}, logNothing)),
				with("two B-trees, integers", keep(layout{trees: 2}, logNothing)),
				with("two B-trees, UUIDs", keep(layout{trees: 2, uuid: true}, logNothing)),
				with("a change log and no B-tree", keep(layout{}, logOperations)),
				with("two B-trees, a change for each commit", keep(layout{trees: 2}, logCommits)),
			},
		},
		{
			title: "How a batch of 1,000 is handed over",
			cases: []namedSetup{
				with("prepared INSERT for each row", func(s *setup) { s.statement = prepared }),
				with("the same, under a cancellable context", func(s *setup) { s.statement, s.cancellable = prepared, true }),
				with("the same, compiled each time", func(s *setup) { s.statement = unprepared }),
				with("INSERT … SELECT FROM json_each", nil),
				with("the same, RETURNING the new rows", func(s *setup) { s.statement = jsonReturning }),
				with("the same, after a SELECT of those present", func(s *setup) { s.statement = jsonAskFirst }),
			},
		},
		{
			title: "How a batch of 1,000 for one group is handed over",
			cases: []namedSetup{
				with("prepared INSERT for each row", func(s *setup) { s.statement, s.pattern = prepared, intoGroup }),
				with("INSERT … SELECT FROM json_each", func(s *setup) { s.pattern = intoGroup }),
				with("the same, RETURNING the new rows", func(s *setup) { s.statement, s.pattern = jsonReturning, intoGroup }),
			},
		},
		{
			title: "Who shares a commit (single adds)",
			cases: []namedSetup{
				slow("one caller, a commit for each row", func(s *setup) { s.batch, s.statement = 1, prepared }),
				with("64 callers share commits", together(nil)),
				with("the same, a savepoint around each", together(func(s *setup) { s.savepoint = true })),
				with("the same, and each by json_each", together(func(s *setup) { s.savepoint, s.statement = true, jsonEach })),
				with("64 callers, one change for each commit", together(func(s *setup) { s.log = logCommits })),
				with("256 callers share commits", together(func(s *setup) { s.callers = 256 })),
			},
		},
		{
			title: "A savepoint around each of 1,000 single adds in a commit",
			cases: []namedSetup{
				with("none", func(s *setup) { s.statement, s.rowwise = prepared, true }),
				with("SAVEPOINT and RELEASE", func(s *setup) { s.statement, s.rowwise, s.savepoint = prepared, true, true }),
			},
		},
		{
			title: "A savepoint around a batch of 1,000, and where it keeps what it may undo",
			cases: []namedSetup{
				with("prepared INSERT for each row, none", func(s *setup) { s.statement = prepared }),
				with("prepared INSERT for each row, savepoint", func(s *setup) { s.statement, s.savepoint = prepared, true }),
				with("json_each, none", nil),
				with("json_each, savepoint", func(s *setup) { s.savepoint = true }),
				with("json_each, none, temporary files", func(s *setup) { s.tempFiles = true }),
				with("json_each, savepoint, temporary files", func(s *setup) { s.savepoint, s.tempFiles = true, true }),
			},
		},
		{
			title: "How far the write-ahead log grows, batches of 1,000",
			cases: []namedSetup{
				long("1,000 pages, the default", func(s *setup) { s.checkpoint = 1000 * s.page }),
				long("64 MiB", nil),
			},
		},
		{
			title: "How far the write-ahead log grows, 64 callers share commits",
			cases: []namedSetup{
				long("1,000 pages, the default", together(func(s *setup) { s.checkpoint = 1000 * s.page })),
				long("64 MiB", together(nil)),
			},
		},
		{
			title: "What a batch of 1,000 has in common",
			cases: []namedSetup{
				with("nothing", nil),
				with("one group", func(s *setup) { s.pattern = intoGroup }),
				with("one member", func(s *setup) { s.pattern = ofMember }),
			},
		},
		{
			title: "The order within a batch of 1,000",
			cases: []namedSetup{
				with("as it came", func(s *setup) { s.unsorted = true }),
				with("sorted by key", nil),
				with("into one group, as it came", func(s *setup) { s.unsorted, s.pattern = true, intoGroup }),
				with("into one group, sorted by key", func(s *setup) { s.pattern = intoGroup }),
			},
		},
		{
			title: "Page cache (batches of 1,000)",
			cases: []namedSetup{
				with("2 MB, the default", func(s *setup) { s.cache = 2000 * kib }),
				with("16 MiB", func(s *setup) { s.cache = 16 * mib }),
				with("64 MiB", nil),
			},
		},
		{
			title: "Page size (batches of 1,000)",
			cases: []namedSetup{
				with("4,096", nil),
				with("8,192", func(s *setup) { s.page = 8 * kib }),
			},
		},
		{
			title: "For the record: synchronous",
			cases: []namedSetup{
				with("FULL, batches of 1,000", nil),
				with("NORMAL, batches of 1,000", func(s *setup) { s.synchronous = "NORMAL" }),
				with("FULL, 64 callers share commits", together(nil)),
				with("NORMAL, 64 callers share commits", together(func(s *setup) { s.synchronous = "NORMAL" })),
			},
		},
	}
}

// keep changes what is kept for each membership, written row by row so that
// every layout is handed over alike. A log alone has a change for each row.
func keep(l layout, log logRows) func(*setup) {
	return func(s *setup) {
		s.layout, s.log, s.statement = l, log, prepared
		s.rowwise = l.trees == 0
	}
}

// together makes 64 callers add one membership at a time and share commits, and
// then makes the change, if there is one.
func together(change func(*setup)) func(*setup) {
	return func(s *setup) {
		s.callers, s.statement = 64, prepared
		if change != nil {
			change(s)
		}
	}
}
