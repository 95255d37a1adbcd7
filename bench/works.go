package main

// unit is what the cost of a work is in.
type unit int

const (
	duration unit = iota // nanoseconds
	rate                 // nanoseconds each, which people read as how many a second
	memory
	number
)

// work is one kind of work that is measured at every size: what it is held
// against in the same runs, and what is promised of it.
type work struct {
	name    string
	heading string // it stands below, in tables and in the chart
	unit    unit
	against *work
	only    bool // is measured for others to be held against

	// What is promised (design, section 8).
	under float64 // the cost is less than this
	from  int     // in directories of so many memberships or more
	ratio float64 // against's cost over this one is at least this
	alike bool    // it costs what against costs
	level bool    // it costs the same in a directory of any size

	grows string // why it costs more in a larger directory, where it has to
}

// least is what the ratio to against must be; 0 if nothing is promised of it.
func (w *work) least() float64 {
	if w.alike {
		return 0.8 // a fifth is noise
	}
	return w.ratio
}

// works are all of them, in the order of the tables. To add one, say here what it
// is, do it in the file that measures its like, and name it in [meter.at].
var works []*work

// below puts works below a heading.
func below(heading string, list ...*work) struct{} {
	for _, w := range list {
		w.heading = heading
		works = append(works, w)
	}
	return struct{}{}
}

// Reasons to grow that several have.
const (
	further = "memory beyond the processor's caches"
	fuller  = "pages beyond the engine's cache"
)

var (
	indexReads  = &work{name: "four dependent reads of memory", only: true, grows: further}
	indexCheck  = &work{name: "transitive check in the index", against: indexReads, under: 1000, grows: further}
	indexAllocs = &work{name: "allocations a check", unit: number, under: 0.001}
	coreCheck   = &work{name: "check through the core", grows: further}
	bareHTTP    = &work{name: "bare net/http, the same bytes", unit: rate, only: true, level: true}
	httpCheck   = &work{name: "check over HTTP, 64 clients", unit: rate, against: bareHTTP, ratio: 0.8, level: true}
	_           = below("checks", indexReads, indexCheck, indexAllocs, coreCheck, bareHTTP, httpCheck)

	indexMemory = &work{name: "index memory a membership", unit: memory, under: 16, from: 10_000_000, level: true}
	_           = below("memory", indexMemory)

	engineScattered = &work{name: "the engine, the same edges in batches of 1,000", unit: rate, only: true, grows: fuller}
	httpAdd         = &work{name: "durable single adds over HTTP, scattered", unit: rate, against: engineScattered, ratio: 0.5, grows: fuller}
	engineTogether  = &work{name: "the engine, 10,000 into one group", unit: rate, only: true, grows: fuller}
	httpAdds        = &work{name: "10,000 adds in one call", unit: rate, against: engineTogether, ratio: 0.7, grows: fuller}
	httpAssign      = &work{name: "10,000 ids in one assign_user of DronaHQ", unit: rate, against: engineTogether, ratio: 0.7, grows: fuller}
	_               = below("adds, by 64 clients or in one call", engineScattered, httpAdd, engineTogether, httpAdds, httpAssign)

	addSmall  = &work{name: "add one member to a group of 10", level: true}
	addBig    = &work{name: "add one member to the group of everybody", against: addSmall, alike: true, level: true}
	addBelow  = &work{name: "add one member below 1,000 groups", level: true}
	linkBelow = &work{name: "link the group of everybody below 1,000 groups", level: true}
	rehearse  = &work{name: "dry run of 1,000 adds below two groups", level: true}
	_         = below("nesting", addSmall, addBig, addBelow, linkBelow, rehearse)

	pageFirst  = &work{name: "first page of 1,000", level: true}
	pageMiddle = &work{name: "a page in the middle", against: pageFirst, alike: true, level: true}
	pageLast   = &work{name: "the last page", against: pageFirst, alike: true, level: true}
	wideFirst  = &work{name: "first page of 1,000, through 100 groups", level: true}
	wideMiddle = &work{name: "a page in the middle, through groups", against: wideFirst, alike: true, level: true}
	wideLast   = &work{name: "the last page, through groups", against: wideFirst, alike: true, level: true}
	_          = below("pages of everybody", pageFirst, pageMiddle, pageLast, wideFirst, wideMiddle, wideLast)

	sortFirst   = &work{name: "first page by name", level: true}
	sortMiddle  = &work{name: "a page in the middle, by name", against: sortFirst, alike: true, level: true}
	sortLast    = &work{name: "the last page, by name", against: sortFirst, alike: true, level: true}
	filterFirst = &work{name: "first page of a filter by name", level: true}
	filterLast  = &work{name: "the last page of a filter by name", against: filterFirst, alike: true, level: true}
	addedFirst  = &work{name: "first page by when they were added", grows: "everybody is sorted, once for all pages"}
	_           = below("pages sorted or filtered", sortFirst, sortMiddle, sortLast, filterFirst, filterLast, addedFirst)

	keptMiddle     = &work{name: "in the middle, of the present", only: true, level: true}
	leftMiddle     = &work{name: "in the middle", against: keptMiddle, alike: true, level: true}
	keptWideMiddle = &work{name: "in the middle through groups, of the present", only: true, level: true}
	leftWideMiddle = &work{name: "in the middle through groups", against: keptWideMiddle, alike: true, level: true}
	keptSortMiddle = &work{name: "in the middle by name, nobody writing", only: true, level: true}
	leftSortMiddle = &work{name: "in the middle by name", against: keptSortMiddle, alike: true, level: true}
	_              = below("pages of a snapshot, with writes between", keptMiddle, leftMiddle, keptWideMiddle, leftWideMiddle, keptSortMiddle, leftSortMiddle)

	pastCheck = &work{name: "check as of an earlier revision", grows: "more groups above a user, in pages beyond the engine's cache"}
	pastPage  = &work{name: "page of 1,000 as of an earlier revision", level: true}
	explained = &work{name: "explain", level: true}
	timeline  = &work{name: "timeline of a membership with 20 periods", level: true}
	diffSmall = &work{name: "diff of a group of 10 with 10 changes", level: true}
	diffBig   = &work{name: "diff of the group of everybody with 10 changes", level: true}
	_         = below("the past, and why", pastCheck, pastPage, explained, timeline, diffSmall, diffBig)

	countDirect = &work{name: "exact count of the group of everybody", level: true}
	countWide   = &work{name: "exact count of everybody through 100 groups", grows: "the groups are united"}
	countTree   = &work{name: "exact count of everybody in any group", grows: "a hundredth as many groups as memberships are united"}
	started     = &work{name: "start, to the first right answer", under: 1e9, level: true}
	_           = below("counts, and a start", countDirect, countWide, countTree, started)

	pgxReads   = &work{name: "reads of one row by pgx", unit: rate, only: true}
	pgCheck    = &work{name: "strong check over HTTP", unit: rate, against: pgxReads}
	pgxInserts = &work{name: "the same single inserts by pgx", unit: rate, only: true}
	pgAdd      = &work{name: "durable single adds over HTTP, scattered", unit: rate, against: pgxInserts}
	pgxCopy    = &work{name: "COPY of the same rows", unit: rate, only: true}
	pgAdds     = &work{name: "10,000 adds in one call", unit: rate, against: pgxCopy}
	_          = below("PostgreSQL, 64 clients", pgxReads, pgCheck, pgxInserts, pgAdd, pgxCopy, pgAdds)
)
