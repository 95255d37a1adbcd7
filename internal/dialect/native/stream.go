package native

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"roster/internal/directory"
	"roster/internal/wire"
)

// ndjson is a JSON value on each line.
const ndjson = "application/x-ndjson"

// streamTypes are what clients call that: no name of it is registered.
var streamTypes = []string{ndjson, "application/ndjson", "application/jsonl", "application/x-jsonl", "application/jsonlines", "application/x-jsonlines", "application/json-lines"}

// Bounds on a stream: how long one line may be, and how many are carried out in
// one transaction and held in memory.
const (
	maxLine     = 64 << 10
	streamChunk = 1000
)

// streamIdle is how long a stream may stand still in either direction.
const streamIdle = 2 * time.Minute

// lineJSON is one line of a stream: a member into a group, or out of it.
type lineJSON struct {
	Op     string         `json:"op"`
	Member jsontext.Value `json:"member"`
	Group  string         `json:"group"`
	Stand  *standingJSON  `json:"standing"`
}

func (l lineJSON) run() (directory.BatchRun, error) {
	run, err := operationJSON{Op: l.Op, Pairs: batchPairs{}, Stand: l.Stand}.run()
	if err == nil && run.Do != directory.AddMembers && run.Do != directory.RemoveMembers {
		err = invalid("op.unknown", "op", "The op of a line is add or remove.")
	}
	if err != nil {
		return run, err
	}
	var pair directory.Pair
	if pair.Member, err = decodeBatchItem(l.Member); err != nil {
		return run, inside("member", inner(err))
	}
	if pair.Group, err = parseGroup("group", l.Group); err != nil {
		return run, err
	}
	run.Pairs = []directory.Pair{pair}
	return run, nil
}

// lineResultJSON answers one line, in order.
type lineResultJSON struct {
	itemJSON
	Revision directory.Revision `json:"revision,omitzero"` // as of which it was carried out, or refused
}

// stream reads lines and answers each with a line, in order, [streamChunk] of
// them in one transaction: whatever is wrong with one costs the others nothing.
// What was answered stands, also if the stream breaks off, and sending a line
// again does no harm.
func (a *api) stream(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	if err := strongOnly(r); err != nil {
		return err
	}
	if err := parseParams(r).err; err != nil {
		return err
	}
	if err := uncoded(r); err != nil {
		return err
	}
	if len(r.Header[headerOnce]) > 0 {
		return invalid("idempotency.unsupported", headerOnce, "A stream is many transactions: no kept answer could stand for them. Its lines can be sent again.")
	}
	control := http.NewResponseController(w)
	_ = control.EnableFullDuplex() // HTTP/1 would read the body to its end before the first answer
	in := bufio.NewReaderSize(r.Body, maxLine)
	out := bufio.NewWriterSize(w, maxLine)
	// A connection whose body was left unread must not serve another request.
	w.Header().Set("Connection", "close")
	w.Header().Set("Content-Type", ndjson)
	w.Header()["Cache-Control"] = noStore
	for {
		// A server that has no deadlines is asked for none.
		_ = control.SetReadDeadline(time.Now().Add(streamIdle))
		_ = control.SetWriteDeadline(time.Now().Add(streamIdle))
		lines, ended := readLines(in)
		results, err := a.chunk(r, p, lines)
		if err != nil {
			return a.breakOff(out, err)
		}
		for _, res := range results {
			if err := writeLine(out, res); err != nil {
				return nil // nobody listens any more
			}
		}
		if ended != nil && !errors.Is(ended, io.EOF) {
			return a.breakOff(out, ended)
		}
		if err := out.Flush(); err != nil || ended != nil {
			return nil
		}
		_ = control.Flush()
	}
}

// breakOff ends a stream whose answer has begun, or may have: with a line.
func (a *api) breakOff(out *bufio.Writer, err error) error {
	_ = writeLine(out, lineResultJSON{itemJSON: wrong("stopped", err)})
	_ = out.Flush()
	return nil
}

func writeLine(out *bufio.Writer, v any) error {
	b, err := wire.Marshal(v)
	if err != nil {
		return err
	}
	if _, err := out.Write(b); err != nil {
		return err
	}
	return out.WriteByte('\n')
}

// readLines reads up to a chunk of lines, as many as are there already once it
// has one. Blank lines count for nothing.
func readLines(in *bufio.Reader) (lines [][]byte, err error) {
	for len(lines) < streamChunk {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return lines, &directory.Error{Kind: directory.TooLarge, Code: "line.large", Detail: "A line is longer than 64 KiB."}
		}
		if text := bytes.Trim(line, " \t\r\n"); len(text) > 0 {
			lines = append(lines, bytes.Clone(text))
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				err = &directory.Error{Kind: directory.Invalid, Code: "body.unread", Detail: "The request body could not be read.", Err: err}
			}
			return lines, err
		}
		if len(lines) > 0 && in.Buffered() == 0 {
			return lines, nil
		}
	}
	return lines, nil
}

// chunk carries out lines in one transaction. Lines that can be one run are.
func (a *api) chunk(r *http.Request, p directory.Principal, lines [][]byte) ([]lineResultJSON, error) {
	results := make([]lineResultJSON, len(lines))
	batch := directory.Batch{Mode: directory.EachAlone}
	var places []int
	flush := func() error {
		if len(batch.Runs) == 0 {
			return nil
		}
		got, err := a.directory.ChangeMemberships(r.Context(), p, batch)
		if err != nil {
			return err
		}
		for _, run := range got.Value.Runs {
			for _, item := range encodeItems(run.Items) {
				results[places[0]] = lineResultJSON{item, got.Revision}
				places = places[1:]
			}
		}
		batch.Runs = nil
		return nil
	}
	for i, text := range lines {
		var line lineJSON
		run, err := directory.BatchRun{}, inner(wire.Strict(text, &line))
		switch {
		case err == nil && text[0] != '{': // null decodes into anything
			err = invalid("body.type", "", "The line must be a JSON object.")
		case err == nil:
			run, err = line.run()
		}
		if err != nil {
			results[i] = lineResultJSON{itemJSON: wrong(directory.Bad.String(), err)}
			results[i].Detail = strings.Replace(results[i].Detail, "The body", "The line", 1)
			continue
		}
		if n := len(batch.Runs); n > 0 && batch.Runs[n-1].Do == run.Do && batch.Runs[n-1].Keep == run.Keep && batch.Runs[n-1].Standing == run.Standing {
			batch.Runs[n-1].Pairs = append(batch.Runs[n-1].Pairs, run.Pairs...)
		} else {
			if n == directory.MaxRuns {
				if err := flush(); err != nil {
					return nil, err
				}
			}
			batch.Runs = append(batch.Runs, run)
		}
		places = append(places, i)
	}
	return results, flush()
}
