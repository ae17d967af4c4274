// Package slack writes messages within Slack's limits and posts them to incoming
// webhooks.
package slack

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Slack's limits of a message. Texts are counted as they are sent, with &amp; as five,
// in units of UTF-16, where an emoji is two or more: whichever way Slack counts, it
// comes to no more.
const (
	MaxBlocks  = 50
	MaxSection = 3000
	MaxHeader  = 150
	// MaxTexts is of all blocks of one message together.
	MaxTexts = 12_000
	// MaxFallback is of the text that notifications show.
	MaxFallback = 1000
)

// Message is the body of a post.
type Message struct {
	// Text is what notifications and screen readers get in the place of the blocks.
	Text   string  `json:"text"`
	Blocks []Block `json:"blocks"`
	// Links in texts are not unfolded: a name may hold one.
	UnfurlLinks bool `json:"unfurl_links"`
	UnfurlMedia bool `json:"unfurl_media"`
}

// Block is a part of a message.
type Block struct {
	Type string `json:"type"`
	Text *Text  `json:"text,omitempty"`
}

// Text is a block's text.
type Text struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// Header returns a block with a title, cut where it is too long.
func Header(title string) Block {
	return Block{"header", &Text{"plain_text", cut(visible(title), MaxHeader)}}
}

// Section returns a block of one text in Slack's markup, cut where it is too long. What
// comes from outside must be escaped.
func Section(markup string) Block {
	return Block{"section", &Text{"mrkdwn", cut(visible(markup), MaxSection)}}
}

// Sections returns lines of markup as few blocks, none of which breaks a line.
func Sections(lines ...string) []Block {
	var blocks []Block
	var current strings.Builder
	flush := func() {
		if current.Len() > 0 {
			blocks = append(blocks, Section(current.String()))
			current.Reset()
		}
	}
	for _, line := range lines {
		line = cut(line, MaxSection)
		if current.Len() > 0 && Length(current.String())+1+Length(line) > MaxSection {
			flush()
		}
		if current.Len() > 0 {
			current.WriteByte('\n')
		}
		current.WriteString(line)
	}
	flush()
	return blocks
}

// visible stands in for a text that Slack would refuse as empty.
func visible(text string) string {
	if strings.TrimSpace(text) == "" {
		return "-"
	}
	return text
}

// Length returns how long Slack takes a text to be.
func Length(text string) int {
	n := 0
	for _, r := range text {
		n += max(utf16.RuneLen(r), 1)
	}
	return n
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// Escape returns text that Slack shows as it is: no mention, link or markup comes of it.
func Escape(text string) string {
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "�")
	}
	// Markup needs its character beside a word; an invisible space between takes that away.
	return formatting.Replace(escaper.Replace(text))
}

var formatting = strings.NewReplacer("*", "\u2217", "_", "_\u2060", "`", "'", "~", "\u223c")

// cut returns text of at most most units: no entity, pair of surrogates or combined
// character is cut in its middle.
func cut(text string, most int) string {
	if Length(text) <= most {
		return text
	}
	n, end := 1, 0 // for the ellipsis
	for i, r := range text {
		if n += max(utf16.RuneLen(r), 1); n > most {
			break
		}
		end = i + utf8.RuneLen(r)
	}
	text = text[:end]
	if i := strings.LastIndexByte(text, '&'); i >= 0 && len(text)-i < len("&amp;") && !strings.Contains(text[i:], ";") {
		text = text[:i]
	}
	for text != "" {
		last, size := utf8.DecodeLastRuneInString(text)
		if last != joiner && last != variation && !(last >= 0x1F3FB && last <= 0x1F3FF) {
			break
		}
		text = text[:len(text)-size]
	}
	return text + "…"
}

const (
	joiner    = '\u200d'
	variation = '\ufe0f'
)

// Pack puts groups of blocks into one message and returns how many fit: each group is
// whole, and there is always one. A group of its own must be within Slack's limits.
func Pack(fallback string, groups [][]Block) (m Message, packed int) {
	total := 0
	for _, group := range groups {
		size := 0
		for _, b := range group {
			if b.Text != nil {
				size += Length(b.Text.Text)
			}
		}
		if packed > 0 && (len(m.Blocks)+len(group) > MaxBlocks || total+size > MaxTexts) {
			break
		}
		m.Blocks, total, packed = append(m.Blocks, group...), total+size, packed+1
	}
	m.Text = cut(visible(fallback), MaxFallback)
	return m, packed
}

// Split returns blocks as messages within Slack's limits.
func Split(fallback string, blocks []Block) []Message {
	groups := make([][]Block, len(blocks))
	for i, b := range blocks {
		groups[i] = []Block{b}
	}
	var all []Message
	for len(groups) > 0 {
		m, n := Pack(fallback, groups)
		all, groups = append(all, m), groups[n:]
	}
	return all
}

// Name returns a name from outside, escaped and cut to at most most units.
func Name(name string, most int) string { return cut(Escape(name), most) }
