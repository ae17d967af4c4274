package provision

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// aptSource is one entry of apt's sources.
type aptSource struct {
	URIs       []string
	Suites     []string
	Components []string
	SignedBy   string // a keyring's path, empty for apt's default
}

// line is the entry, in the one-line format, for the source packages of another suite.
func (s aptSource) line(suite, component string) string {
	options := ""
	if s.SignedBy != "" {
		options = "[signed-by=" + s.SignedBy + "] "
	}
	return fmt.Sprintf("deb-src %s%s %s %s\n", options, s.URIs[0], suite, component)
}

// archive returns the machine's own source of its distribution: the mirror that
// it already trusts and reaches.
func archive(id, codename string) (aptSource, error) {
	all := readSources("/etc/apt")
	s, ok := pick(all, id, codename)
	if !ok {
		return aptSource{}, fmt.Errorf("no mirror of %s found in apt's sources", id)
	}
	if !filepath.IsAbs(s.SignedBy) { // none, a fingerprint, or a key written out
		s.SignedBy = ""
		if keyring := "/usr/share/keyrings/" + id + "-archive-keyring.gpg"; exists(keyring) {
			s.SignedBy = keyring
		}
	}
	return s, nil
}

// pick prefers the entry of the release itself, whose mirror has every suite;
// those of security updates often live on a server of their own.
func pick(all []aptSource, id, codename string) (aptSource, bool) {
	rules := []func(aptSource) bool{
		func(s aptSource) bool { return codename != "" && slices.Contains(s.Suites, codename) },
		func(s aptSource) bool { return codename != "" && slices.Contains(s.Suites, codename+"-updates") },
		func(s aptSource) bool { return strings.HasSuffix(strings.TrimRight(s.URIs[0], "/"), "/"+id) },
	}
	for _, fits := range rules {
		for _, s := range all {
			if slices.Contains(s.Components, "main") && fits(s) {
				return s, true
			}
		}
	}
	return aptSource{}, false
}

// readSources reads both formats, as apt does: sources.list, *.list and *.sources.
func readSources(dir string) []aptSource {
	var all []aptSource
	lists, _ := filepath.Glob(filepath.Join(dir, "sources.list.d", "*.list"))
	for _, path := range append([]string{filepath.Join(dir, "sources.list")}, lists...) {
		if text, err := os.ReadFile(path); err == nil {
			all = append(all, parseOneLine(string(text))...)
		}
	}
	stanzas, _ := filepath.Glob(filepath.Join(dir, "sources.list.d", "*.sources"))
	for _, path := range stanzas {
		if text, err := os.ReadFile(path); err == nil {
			all = append(all, parseDeb822(string(text))...)
		}
	}
	return all
}

// parseOneLine reads "deb [signed-by=/a/b.gpg arch=amd64] URI suite component...".
func parseOneLine(text string) []aptSource {
	var all []aptSource
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		kind, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if kind != "deb" && kind != "deb-src" {
			continue
		}
		s := aptSource{}
		rest = strings.TrimSpace(rest)
		if options, after, ok := strings.Cut(strings.TrimPrefix(rest, "["), "]"); ok && strings.HasPrefix(rest, "[") {
			rest = after
			for _, option := range strings.Fields(options) {
				if path, ok := strings.CutPrefix(option, "signed-by="); ok {
					s.SignedBy = path
				}
			}
		}
		if fields := strings.Fields(rest); len(fields) >= 3 {
			s.URIs, s.Suites, s.Components = fields[:1], fields[1:2], fields[2:]
			all = appendUsable(all, s)
		}
	}
	return all
}

// parseDeb822 reads stanzas of "Field: values", where a line that begins with a
// space continues the field before.
func parseDeb822(text string) []aptSource {
	var all []aptSource
	for stanza := range strings.SplitSeq(strings.ReplaceAll(text, "\r", ""), "\n\n") {
		fields, field := map[string]string{}, ""
		for line := range strings.Lines(stanza) {
			if strings.HasPrefix(line, "#") {
				continue
			}
			if line[0] == ' ' || line[0] == '\t' {
				fields[field] += line
				continue
			}
			if name, value, ok := strings.Cut(line, ":"); ok {
				field = strings.ToLower(strings.TrimSpace(name))
				fields[field] = value
			}
		}
		if strings.EqualFold(strings.TrimSpace(fields["enabled"]), "no") {
			continue
		}
		all = appendUsable(all, aptSource{
			URIs:       strings.Fields(fields["uris"]),
			Suites:     strings.Fields(fields["suites"]),
			Components: strings.Fields(fields["components"]),
			SignedBy:   strings.TrimSpace(fields["signed-by"]),
		})
	}
	return all
}

func appendUsable(all []aptSource, s aptSource) []aptSource {
	s.URIs = slices.DeleteFunc(s.URIs, func(uri string) bool { return strings.HasPrefix(uri, "cdrom:") })
	if len(s.URIs) == 0 || len(s.Suites) == 0 {
		return all
	}
	return append(all, s)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
