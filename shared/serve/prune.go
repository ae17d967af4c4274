package serve

import (
	"bytes"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// pruned returns a large body without what is refused unseen: of a list that is longer than
// its rule, the elements; of a list or an object where another kind of value must stand, or
// under a name that is not known, what it holds. The answer to what is left is the answer
// to the body, and a million elements are never decoded. It looks at the body and its
// members, not deeper, and reports false where there is nothing to leave out, or where the
// body is so broken that it has no parts.
func (r *rules) pruned(body []byte) ([]byte, bool) {
	n := r.root()
	at := space(body, 0)
	if !n.plain || at == len(body) {
		return nil, false
	}
	if short, wrong := n.wrongKind(body[at]); wrong {
		return []byte(short), true
	}
	switch {
	case n.object:
		return n.prunedMembers(body, at+1)
	case n.items != nil:
		if _, short := n.prunedList(body, at); short != nil {
			return short, true
		}
	}
	return nil, false
}

// wrongKind returns the empty list or object that stands for one that may not be there.
func (n *node) wrongKind(first byte) (short string, wrong bool) {
	if !n.plain || n.schema.Type == "" {
		return "", false
	}
	switch {
	case first == '[' && n.schema.Type != huma.TypeArray:
		return "[]", true
	case first == '{' && n.schema.Type != huma.TypeObject:
		return "{}", true
	}
	return "", false
}

// prunedMembers prunes the members of the object that begins before at.
func (n *node) prunedMembers(body []byte, at int) ([]byte, bool) {
	var out bytes.Buffer
	kept := 0 // up to where the body is written or left out
	for at = space(body, at); at < len(body) && body[at] == '"'; at = space(body, at) {
		end := stringEnd(body, at)
		name := body[at+1 : max(end-1, at+1)]
		at = space(body, end)
		if at == len(body) || body[at] != ':' {
			return nil, false
		}
		if at = space(body, at+1); at == len(body) {
			return nil, false
		}
		end, short := n.prunedMember(string(name), body, at)
		if end < 0 {
			return nil, false
		}
		if short != nil {
			out.Write(body[kept:at])
			out.Write(short)
			kept = end
		}
		if at = space(body, end); at < len(body) && body[at] == ',' {
			at++
		}
	}
	if kept == 0 {
		return nil, false
	}
	out.Write(body[kept:])
	return out.Bytes(), true
}

// prunedMember returns where the member's value ends, -1 if it does not, and what stands
// for it, nil for itself.
func (n *node) prunedMember(name string, body []byte, at int) (end int, short []byte) {
	if strings.Contains(name, `\`) { // it may be any name
		return valueEnd(body, at), nil
	}
	for _, p := range n.props {
		if p.name != name {
			continue
		}
		if short, wrong := p.node.wrongKind(body[at]); wrong {
			return valueEnd(body, at), []byte(short)
		}
		if p.node.items != nil {
			return p.node.prunedList(body, at)
		}
		return valueEnd(body, at), nil
	}
	if end = valueEnd(body, at); n.closed && (body[at] == '[' || body[at] == '{') {
		short = []byte("null")
	}
	return end, short
}

// prunedList is prunedMember of a list.
func (n *node) prunedList(body []byte, at int) (end int, short []byte) {
	end = valueEnd(body, at)
	if end < 0 || body[at] != '[' || n.schema.MaxItems == nil {
		return end, nil
	}
	most := *n.schema.MaxItems
	count := 0
	for i := space(body, at+1); i < end-1; count++ {
		if count == most {
			return end, append(append([]byte("["), bytes.Repeat([]byte("null,"), most)...), "null]"...)
		}
		if i = valueEnd(body, i); i < 0 {
			return -1, nil
		}
		if i = space(body, i); body[i] == ',' {
			i = space(body, i+1)
		}
	}
	return end, nil
}

// space returns where the white space at i ends.
func space(body []byte, i int) int {
	for i < len(body) && (body[i] == ' ' || body[i] == '\n' || body[i] == '\t' || body[i] == '\r') {
		i++
	}
	return i
}

// nests are the bytes that matter within a list or an object: most of a large body is
// numbers and texts, and is only run over.
var nests = [256]bool{'"': true, '[': true, '{': true, ']': true, '}': true}

// valueEnd returns where the value at i ends, by its brackets and texts alone; -1 if it
// does not.
func valueEnd(body []byte, i int) int {
	depth := 0
	for i < len(body) {
		if depth > 0 {
			for i < len(body) && !nests[body[i]] {
				i++
			}
			if i == len(body) {
				return -1
			}
		}
		switch body[i] {
		case '"':
			if i = stringEnd(body, i); body[i-1] != '"' {
				return -1
			}
			if depth == 0 {
				return i
			}
			continue
		case '[', '{':
			depth++
		case ']', '}':
			if depth--; depth == 0 {
				return i + 1
			}
			if depth < 0 {
				return i // the end of a number in what is around it
			}
		case ',', ' ', '\n', '\t', '\r':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	if depth > 0 {
		return -1
	}
	return i
}
