package contensis

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"roster/internal/directory"
)

// Limits on a query, so that reading one costs little whatever it says.
const (
	maxZenQL      = 10000 // bytes
	maxZenQLDepth = 18    // parentheses and nots; the filter's own limit is above
)

// parseZenQL reads a query (section 4.4): clauses of field, operator and value,
// joined by and, or and not, with an order at the end.
//
//	query  = [ or ] [ "ORDER BY" name [ "ASC" | "DESC" ] { "," … } ]
//	or     = and { "or" and }
//	and    = not { "and" not }
//	not    = "not" not | "(" or ")" | clause
//	clause = name operator value
func parseZenQL(text string, f fields, now time.Time) (directory.Filter, []directory.Order, error) {
	if len(text) > maxZenQL || !utf8.ValidString(text) {
		return directory.Filter{}, nil, wrongQuery(fmt.Sprintf("The query is longer than %d bytes, or not valid UTF-8.", maxZenQL))
	}
	tokens, err := scan(text)
	if err != nil {
		return directory.Filter{}, nil, err
	}
	p := &zenqlParser{fields: f, now: now.UTC(), tokens: tokens}
	var filter directory.Filter
	if !p.atOrder() && p.peek().kind != endToken {
		if filter, err = p.or(0); err != nil {
			return filter, nil, err
		}
	}
	order, err := p.order()
	if err == nil && p.peek().kind != endToken {
		err = p.unexpected("the end")
	}
	return filter, order, err
}

type zenqlParser struct {
	fields fields
	now    time.Time
	tokens []token
	next   int
}

func (p *zenqlParser) peek() token { return p.ahead(0) }

func (p *zenqlParser) ahead(n int) token {
	if p.next+n < len(p.tokens) {
		return p.tokens[p.next+n]
	}
	return token{}
}

func (p *zenqlParser) take() token {
	t := p.peek()
	p.next++
	return t
}

// word reports whether the next token is a keyword, and takes it if so.
func (p *zenqlParser) word(keyword string) bool {
	is := p.peek().is(keyword)
	if is {
		p.next++
	}
	return is
}

// sign reports whether the next token is a sign, and takes it if so.
func (p *zenqlParser) sign(text string) bool {
	t := p.peek()
	is := t.kind == signToken && t.text == text
	if is {
		p.next++
	}
	return is
}

func (p *zenqlParser) unexpected(want string) error {
	t := p.peek()
	if t.kind == endToken {
		return wrongQuery("The query ends where " + want + " should be.")
	}
	return wrongQuery("The query has " + quote(t.text) + " where " + want + " should be.")
}

// quote shows a piece of a query, which may be long.
func quote(s string) string {
	if runes := []rune(s); len(runes) > 40 {
		s = string(runes[:40]) + "…"
	}
	return "'" + s + "'"
}

func (p *zenqlParser) atOrder() bool { return p.peek().is("order") && p.ahead(1).is("by") }

func (p *zenqlParser) or(depth int) (directory.Filter, error) {
	return p.joined("or", directory.Or, func() (directory.Filter, error) {
		return p.joined("and", directory.And, func() (directory.Filter, error) { return p.not(depth) })
	})
}

// joined reads what stands between occurrences of a keyword.
func (p *zenqlParser) joined(keyword string, join func(...directory.Filter) directory.Filter, part func() (directory.Filter, error)) (directory.Filter, error) {
	first, err := part()
	if err != nil {
		return first, err
	}
	filters := []directory.Filter{first}
	for p.word(keyword) {
		if len(filters) >= directory.MaxFilterClauses {
			return first, wrongQuery("The query has too many clauses.")
		}
		next, err := part()
		if err != nil {
			return next, err
		}
		filters = append(filters, next)
	}
	if len(filters) == 1 {
		return first, nil
	}
	return join(filters...), nil
}

func (p *zenqlParser) not(depth int) (directory.Filter, error) {
	if depth > maxZenQLDepth {
		return directory.Filter{}, wrongQuery("The query nests too deep.")
	}
	switch {
	case p.word("not"):
		inner, err := p.not(depth + 1)
		return directory.Not(inner), err
	case p.sign("("):
		inner, err := p.or(depth + 1)
		if err == nil && !p.sign(")") {
			err = p.unexpected("')'")
		}
		return inner, err
	}
	return p.clause()
}

var zenqlSigns = map[string]comparison{
	"=": isEqual, "!=": isEqual, "~": isContaining, "!~": isContaining, ">": isGreater, "<": isLess, ">=": isAtLeast, "<=": isAtMost,
}

var zenqlWords = map[string]comparison{
	"in": isIn, "startswith": isStarting, "endswith": isEnding, "freetext": isFree, "between": isBetween,
}

// clause reads a comparison.
func (p *zenqlParser) clause() (directory.Filter, error) {
	t := p.peek()
	if t.kind != wordToken && t.kind != textToken {
		return directory.Filter{}, p.unexpected("a field")
	}
	f, ok := p.fields.find(t.text)
	if !ok {
		return directory.Filter{}, wrongQuery("There is no field " + quote(t.text) + " to search by.")
	}
	p.next++
	negated := false
	if sign := p.peek(); sign.kind == signToken {
		op, ok := zenqlSigns[sign.text]
		if !ok {
			return directory.Filter{}, p.unexpected("an operator")
		}
		p.next++
		if op == isEqual && p.peek().is("between") && p.ahead(1).text == "(" {
			p.next++
			op = isBetween
		}
		return p.comparison(t.text, f, op, sign.text[0] == '!')
	}
	if p.word("is") {
		negated = p.word("not")
		if !p.word("empty") && !p.word("null") {
			return directory.Filter{}, p.unexpected("EMPTY")
		}
		if exists := f.exists(p.now); negated {
			return exists, nil
		} else {
			return directory.Not(exists), nil
		}
	}
	negated = p.word("not")
	op, ok := zenqlWords[strings.ToLower(p.peek().text)]
	if !ok || p.peek().kind != wordToken {
		return directory.Filter{}, p.unexpected("an operator")
	}
	p.next++
	return p.comparison(t.text, f, op, negated)
}

// comparison reads the values of an operator.
func (p *zenqlParser) comparison(name string, f field, op comparison, negated bool) (directory.Filter, error) {
	var values []operand
	if op == isIn || op == isBetween {
		if !p.sign("(") {
			return directory.Filter{}, p.unexpected("'('")
		}
		for {
			v, err := p.value(f)
			if err != nil {
				return directory.Filter{}, err
			}
			values = append(values, v)
			if p.sign(")") {
				break
			}
			if !p.sign(",") {
				return directory.Filter{}, p.unexpected("',' or ')'")
			}
		}
	} else {
		v, err := p.value(f)
		if err != nil {
			return directory.Filter{}, err
		}
		values = append(values, v)
	}
	filter, err := compare(name, f, op, values, p.now)
	if negated {
		filter = directory.Not(filter)
	}
	return filter, err
}

// value reads one value: quoted or bare, NULL, or for a date a function or a
// period from now.
func (p *zenqlParser) value(f field) (operand, error) {
	t := p.peek()
	switch {
	case t.kind == textToken:
		p.next++
		return operand{text: t.text}, nil
	case t.kind != wordToken:
		return operand{}, p.unexpected("a value")
	}
	p.next++
	if t.is("null") {
		return operand{null: true}, nil
	}
	if f.kind != momentField {
		return operand{text: t.text}, nil
	}
	if unit, ok := dateFunctions[strings.ToLower(t.text)]; ok && p.sign("(") {
		return p.function(strings.ToLower(t.text), unit)
	}
	if _, ok := period(p.now, t.text, 0); ok {
		p.next--
		return p.worked(p.periods(p.now, 0))
	}
	// A date may be followed by a time.
	if clock := p.peek(); clock.kind == wordToken && strings.Count(clock.text, ":") > 0 && !strings.Contains(t.text, ":") {
		p.next++
		return operand{text: t.text + " " + clock.text}, nil
	}
	return operand{text: t.text}, nil
}

// worked is a date that was worked out, if it is one that can be compared.
func (p *zenqlParser) worked(at time.Time) (operand, error) {
	if !directory.InRange(at) {
		return operand{}, wrongQuery("A date is out of range.")
	}
	return operand{at: at}, nil
}

// dateFunctions are the functions of dates with the unit of a bare number in them.
var dateFunctions = map[string]byte{
	"now": 'd', "startofday": 'd', "endofday": 'd', "startofweek": 'w', "endofweek": 'w',
	"startofmonth": 'M', "endofmonth": 'M', "startofyear": 'y', "endofyear": 'y',
}

// function reads the arguments of a function, of which the opening parenthesis
// was taken, and works it out: first the periods are added to now, then the
// start or end is found.
func (p *zenqlParser) function(name string, unit byte) (operand, error) {
	at := p.periods(p.now, unit)
	if !p.sign(")") {
		return operand{}, p.unexpected("a period such as -7d")
	}
	if name == "now" {
		return p.worked(at)
	}
	y, m, d := at.Date()
	switch unit {
	case 'w':
		d -= (int(at.Weekday()) + 6) % 7 // weeks begin on Monday
	case 'M':
		d = 1
	case 'y':
		m, d = time.January, 1
	}
	at = time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	if strings.HasPrefix(name, "end") {
		next, _ := period(at, "1"+string(unit), 0)
		at = next.Add(-time.Millisecond)
	}
	return p.worked(at)
}

// periods adds all the periods that follow. A sign counts for those after it, so
// that -1w 2d is nine days ago.
func (p *zenqlParser) periods(at time.Time, unit byte) time.Time {
	sign := ""
	for p.peek().kind == wordToken {
		text := p.peek().text
		if signed := strings.IndexAny(text, "+-") == 0; signed {
			sign, text = text[:1], text[1:]
		}
		later, ok := period(at, sign+text, unit)
		if !ok {
			break
		}
		at = later
		p.next++
	}
	return at
}

// maxPeriod is how many units a period may be.
const maxPeriod = 100000

// period adds a period such as -4d to a moment. Without a unit it is in that
// given, if one is. False if the text is no period.
func period(at time.Time, text string, unit byte) (time.Time, bool) {
	sign := 1
	switch {
	case strings.HasPrefix(text, "-"):
		sign, text = -1, text[1:]
	case strings.HasPrefix(text, "+"):
		text = text[1:]
	}
	n, digits := 0, 0
	for ; digits < len(text) && '0' <= text[digits] && text[digits] <= '9'; digits++ {
		if n = n*10 + int(text[digits]-'0'); n > maxPeriod {
			return at, false
		}
	}
	if digits == 0 || len(text)-digits > 1 {
		return at, false
	}
	if len(text) > digits {
		unit = text[digits]
	}
	n *= sign
	switch unit {
	case 'y':
		return at.AddDate(n, 0, 0), true
	case 'M':
		return at.AddDate(0, n, 0), true
	case 'w':
		return at.AddDate(0, 0, 7*n), true
	case 'd':
		return at.AddDate(0, 0, n), true
	case 'h':
		return at.Add(time.Duration(n) * time.Hour), true
	case 'm':
		return at.Add(time.Duration(n) * time.Minute), true
	}
	return at, false
}

// order reads the order at the end, if there is one. A field that is not known is
// passed over, as in the parameter of that name.
func (p *zenqlParser) order() ([]directory.Order, error) {
	if !p.atOrder() {
		return nil, nil
	}
	p.next += 2
	var names []string
	for {
		t := p.take()
		if t.kind != wordToken && t.kind != textToken {
			p.next--
			return nil, p.unexpected("a field to sort by")
		}
		name := t.text
		if p.word("desc") {
			name = "-" + name
		} else {
			p.word("asc")
		}
		names = append(names, name)
		if !p.sign(",") {
			return p.fields.order(names), nil
		}
	}
}

// token is a piece of a query.
type token struct {
	kind tokenKind
	text string
}

type tokenKind uint8

const (
	endToken tokenKind = iota
	wordToken
	textToken // in quotes
	signToken
)

func (t token) is(keyword string) bool {
	return t.kind == wordToken && strings.EqualFold(t.text, keyword)
}

// signs are what ends a bare word, the longer ones first.
var signs = []string{"!=", "!~", ">=", "<=", "=", "~", ">", "<", "(", ")", ","}

// scan takes a query apart.
func scan(text string) ([]token, error) {
	var tokens []token
next:
	for len(text) > 0 {
		if rest := strings.TrimLeft(text, " \t\r\n"); len(rest) < len(text) {
			text = rest
			continue
		}
		for _, s := range signs {
			if strings.HasPrefix(text, s) {
				tokens = append(tokens, token{signToken, s})
				text = text[len(s):]
				continue next
			}
		}
		if text[0] == '"' {
			value, rest, ok := quoted(text[1:])
			if !ok {
				return nil, wrongQuery("A quotation mark is not closed.")
			}
			tokens = append(tokens, token{textToken, value})
			text = rest
			continue
		}
		end := strings.IndexAny(text, " \t\r\n!=~><(),\"")
		if end < 0 {
			end = len(text)
		}
		if end == 0 {
			return nil, wrongQuery("The query has " + quote(text[:1]) + " where it means nothing.")
		}
		tokens = append(tokens, token{wordToken, text[:end]})
		text = text[end:]
	}
	return tokens, nil
}

// quoted reads up to the closing quotation mark. A backslash takes a quotation
// mark or a backslash as it is.
func quoted(text string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text) && (text[i+1] == '"' || text[i+1] == '\\'):
			i++
			b.WriteByte(text[i])
		case c == '"':
			return b.String(), text[i+1:], true
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}
