package ingest

import (
	"bytes"
	"slices"

	"millrace/codec/json"
	"millrace/internal/apierr"
	"millrace/pool"
)

// refusal is an event that is not written because of what it is.
type refusal struct {
	index int           // among the events of the body
	err   *apierr.Error // nil: it is left out by a rule
	// event is a view of the body, and kept reports that it is in the dead-letter topic.
	event []byte
	kept  bool
}

// maxRefused bounds the events of a body that are refused one by one, since an answer names each:
// a body of nothing but short bad lines would have an answer many times its size.
const maxRefused = 1000

// parser makes a record of each event of one body. Records are views of the body, which it does
// not change.
type parser struct {
	body    []byte
	slab    *pool.Slab
	json    *json.Values // checks the body's; never nil
	rules   rules
	max     int       // of events
	most    int       // bytes of an event; 0 is any number
	events  int       // so far: the index of the next one
	refused []refusal // in the order of their indexes, with those that are left out
	left    int       // events that are left out by a rule; they have no error
	away    int       // events that are written to the overflow topic; they have none either
}

// parse fills the slab, which must be empty. Its error refuses the body as a whole.
func (p *parser) parse(f form) (err error) {
	p.json.Reset(p.body)
	p.rules.settle()
	switch f {
	case values:
		err = p.values()
	case lines:
		err = p.lines()
	case data, jsonData, textData:
		err = p.data(f)
	default:
		if len(p.body) > 0 {
			p.rules.opaque = true
			err = p.add(p.body)
		}
	}
	if err == nil && p.events == 0 {
		err = apierr.Unprocessable.New("The body has no event.")
	}
	return err
}

// data reads the data of one CloudEvent.
func (p *parser) data(f form) error {
	isJSON := f != data && len(p.body) > 0
	if isJSON && !json.Valid(p.body) {
		if isJSON = false; f == jsonData {
			return apierr.BadRequest.New("The data of the CloudEvent is not valid JSON, as its Content-Type says it is.")
		}
	}
	p.rules.opaque = !isJSON
	if p.body == nil {
		p.body = []byte{} // a record without a value would be a deletion
	}
	return p.add(p.body)
}

// add makes the next event a record.
func (p *parser) add(event []byte) error {
	if p.events == p.max {
		return apierr.BodyTooLarge.New("The request has more than %d events, which is the limit (request.max.records, or that of the route). Send several requests.", p.max)
	}
	switch {
	case !p.rules.opaque && event[0] == 'n':
		return p.refuse(event, apierr.BadRequest.New("An event must not be null."))
	case p.most > 0 && len(event) > p.most:
		return p.refuse(event, apierr.BodyTooLarge.New("The event has %d bytes; the route takes %d.", len(event), p.most))
	}
	if p.rules.plain {
		made := p.slab.Add()
		made.Value, made.Key = event, p.rules.sharedKey
		p.events++
		return nil
	}
	p.rules.index = p.events
	switch why := p.rules.apply(p.slab, event); why {
	case nil:
	case dropped:
		p.leaveOut()
		return nil
	default:
		return p.refuse(event, why)
	}
	p.events++
	return nil
}

// refuse leaves the next event out. Its error is that there are too many such events.
func (p *parser) refuse(event []byte, why *apierr.Error) error {
	if p.faults() == maxRefused {
		first := p.firstFault()
		return apierr.BadRequest.New("More than %d events are malformed, and nothing was written. The first is event %d: %s", maxRefused, first.index, first.err.Message())
	}
	p.refused = append(p.refused, refusal{index: p.events, err: why, event: event})
	p.events++
	return nil
}

// leaveOut counts the next event, of which no record is to be made.
func (p *parser) leaveOut() {
	p.refused = append(p.refused, refusal{index: p.events})
	p.left++
	p.events++
}

// faults returns how many events are refused.
func (p *parser) faults() int { return len(p.refused) - p.left - p.away }

// firstToRetry returns which refused event is the first that its sender is to send again, or -1.
func (p *parser) firstToRetry() int {
	return slices.IndexFunc(p.refused, func(r refusal) bool { return r.err != nil && r.err.Kind.Retry })
}

// firstFault returns the first refused event, of which there must be one.
func (p *parser) firstFault() refusal {
	return p.refused[slices.IndexFunc(p.refused, func(r refusal) bool { return r.err != nil })]
}

// values reads JSON values one after another, with or without white space between.
func (p *parser) values() error {
	b := p.body
	for i := json.SkipSpace(b, afterMark(b)); i < len(b); i = json.SkipSpace(b, i) {
		var err error
		if b[i] == '[' {
			i, err = p.elements(i + 1)
		} else {
			i, err = p.value(i)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// value reads the JSON value at i as an event, and returns the index behind it.
func (p *parser) value(i int) (int, error) {
	end, err := p.json.Scan(i)
	if err != nil {
		return i, p.malformed(err.Error())
	}
	return end, p.add(p.body[i:end:end])
}

// elements reads the rest of an array from i on, and returns the index behind it.
func (p *parser) elements(i int) (int, error) {
	b := p.body
	i = json.SkipSpace(b, i)
	if i < len(b) && b[i] == ']' {
		return i + 1, nil
	}
	for {
		var err error
		if i, err = p.value(i); err != nil {
			return i, err
		}
		i = json.SkipSpace(b, i)
		switch {
		case i < len(b) && b[i] == ',':
			i = json.SkipSpace(b, i+1)
		case i < len(b) && b[i] == ']':
			return i + 1, nil
		case i < len(b):
			return i, p.malformed((&json.SyntaxError{Offset: i, Reason: "expected ',' or ']' in an array"}).Error())
		default:
			return i, p.malformed((&json.SyntaxError{Offset: i, Reason: "unexpected end"}).Error())
		}
	}
}

// malformed returns the error of a body whose next event is not JSON. Where the event behind it
// begins is not known.
func (p *parser) malformed(fault string) error {
	return apierr.BadRequest.New("The body is not valid JSON, and nothing was written: %s, in or after event %d.", fault, p.events)
}

// lines reads a JSON value a line. Lines of white space count for nothing.
func (p *parser) lines() error {
	b := p.body
	for i := json.SkipSpace(b, afterMark(b)); i < len(b); {
		end, behind, err := p.json.Line(i)
		if err != nil {
			err = p.refuse(b[i:behind:behind], apierr.BadRequest.New("The line is not one JSON value: %s of the body.", err))
		} else {
			err = p.add(b[i:end:end])
		}
		if err != nil {
			return err
		}
		i = json.SkipSpace(b, behind)
	}
	return nil
}

// afterMark returns the index behind a UTF-8 byte order mark.
func afterMark(b []byte) int {
	if bytes.HasPrefix(b, []byte("\xEF\xBB\xBF")) {
		return 3
	}
	return 0
}
