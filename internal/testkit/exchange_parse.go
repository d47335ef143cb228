package testkit

import (
	"fmt"
	"strconv"
	"strings"
)

// exchange is one request of a golden file and the answer that it must get.
type exchange struct {
	line   int      // of the request line
	method string   // may contain variables, like all texts here
	target string   // as it goes onto the wire
	header []field  // of the request, in order
	body   []string // lines of the request's body; nil for none

	statusLine int // the line of the file with the status
	status     int
	want       []field  // headers of the answer
	wantBody   []string // lines of the answer's body; nil for none
	bodyLine   int      // the line of the file where wantBody begins
}

// field is a header field, or with absent set the demand that there is none.
type field struct {
	line        int
	name, value string
	absent      bool
}

// parseExchanges reads a golden file; see [RunExchanges] for the format.
func parseExchanges(name, text string) ([]*exchange, error) {
	var all []*exchange
	p := exchangeParser{}
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		p.line = i + 1
		if err := p.add(line, &all); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, p.line, err)
		}
	}
	if n := len(all); n == 0 || all[n-1].status == 0 {
		return nil, fmt.Errorf("%s:%d: the file ends without an answer", name, p.line)
	}
	return all, nil
}

// exchangeParser is where in an exchange the next line stands.
type exchangeParser struct {
	line   int
	side   byte // '>' or '<' of the last line, 0 before the first
	inBody bool // an empty line ended the headers of this side
}

func (p *exchangeParser) add(line string, all *[]*exchange) error {
	if line == "" || line[0] == '#' {
		// Ends an exchange, but not between a request and its answer.
		if p.side == '<' {
			p.side = 0
		}
		return nil
	}
	side := line[0]
	if side != '>' && side != '<' {
		return fmt.Errorf("want a line that begins with '>', '<' or '#', have %q", line)
	}
	content := strings.TrimPrefix(line[1:], " ")
	if side != p.side {
		return p.open(side, content, all)
	}
	ex := (*all)[len(*all)-1]
	header, body := &ex.header, &ex.body
	if side == '<' {
		header, body = &ex.want, &ex.wantBody
	}
	switch {
	case p.inBody:
		if *body == nil && side == '<' {
			ex.bodyLine = p.line
		}
		*body = append(*body, content)
	case content == "":
		p.inBody = true
	default:
		f, err := parseField(content, side == '<')
		f.line = p.line
		*header = append(*header, f)
		return err
	}
	return nil
}

// open reads the first line of a request or of an answer.
func (p *exchangeParser) open(side byte, content string, all *[]*exchange) error {
	last := p.side
	p.side, p.inBody = side, false
	if side == '>' {
		method, target, ok := strings.Cut(content, " ")
		if !ok {
			return fmt.Errorf("want METHOD TARGET, have %q", content)
		}
		*all = append(*all, &exchange{line: p.line, method: method, target: target})
		return nil
	}
	if last != '>' {
		return fmt.Errorf("an answer without a request")
	}
	status, err := strconv.Atoi(content)
	if err != nil {
		return fmt.Errorf("want the status of the answer, have %q", content)
	}
	ex := (*all)[len(*all)-1]
	ex.status, ex.statusLine = status, p.line
	return nil
}

func parseField(text string, answer bool) (field, error) {
	if name, ok := strings.CutPrefix(text, "!"); ok && answer {
		return field{name: name, absent: true}, nil
	}
	name, value, ok := strings.Cut(text, ":")
	if !ok {
		return field{}, fmt.Errorf("want a header field, have %q", text)
	}
	return field{name: name, value: strings.TrimSpace(value)}, nil
}
