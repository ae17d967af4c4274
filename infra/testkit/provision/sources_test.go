package provision

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBothFormatsOfAptSourcesAreRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	parts := filepath.Join(dir, "sources.list.d")
	if err := os.Mkdir(parts, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"sources.list": "# deb http://old.example/debian bullseye main\n" +
			"deb [ arch=amd64 signed-by=/k/one.gpg ] http://one.example/debian bookworm main contrib # mine\n" +
			"deb cdrom:[Debian 12]/ bookworm main\ndeb-src http://two.example/debian  bookworm-updates   main\nnonsense\n",
		"sources.list.d/a.sources": "Types: deb deb-src\n# a comment\nURIs: http://three.example/debian\nSuites: trixie trixie-updates\n" +
			"Components: main\nSigned-By: /k/three.gpg\n\nEnabled: no\nTypes: deb\nURIs: http://off.example/debian\nSuites: trixie\nComponents: main\n" +
			"\nTypes: deb\nuris: http://four.example/x\nSuites: nodistro\nComponents: main\nSigned-By:\n -----BEGIN KEY-----\n .\n abc\n",
		"sources.list.d/b.list.disabled": "deb http://never.example/debian bookworm main\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := []aptSource{
		{URIs: []string{"http://one.example/debian"}, Suites: []string{"bookworm"}, Components: []string{"main", "contrib"}, SignedBy: "/k/one.gpg"},
		{URIs: []string{"http://two.example/debian"}, Suites: []string{"bookworm-updates"}, Components: []string{"main"}},
		{URIs: []string{"http://three.example/debian"}, Suites: []string{"trixie", "trixie-updates"}, Components: []string{"main"}, SignedBy: "/k/three.gpg"},
		{URIs: []string{"http://four.example/x"}, Suites: []string{"nodistro"}, Components: []string{"main"}, SignedBy: "-----BEGIN KEY-----\n .\n abc"},
	}
	if diff := cmp.Diff(want, readSources(dir)); diff != "" {
		t.Error(diff)
	}
}

func TestTheMirrorIsTheReleasesOwn(t *testing.T) {
	t.Parallel()
	security := aptSource{URIs: []string{"http://security.example/debian-security"}, Suites: []string{"bookworm-security"}, Components: []string{"main"}}
	third := aptSource{URIs: []string{"http://third.example/apt"}, Suites: []string{"bookworm"}, Components: []string{"stable"}}
	own := aptSource{URIs: []string{"http://mirror.example/debian"}, Suites: []string{"bookworm", "bookworm-updates"}, Components: []string{"main"}, SignedBy: "/k.gpg"}
	rolling := aptSource{URIs: []string{"http://mirror.example/debian/"}, Suites: []string{"stable"}, Components: []string{"main"}}

	if got, ok := pick([]aptSource{security, third, own}, "debian", "bookworm"); !ok || cmp.Diff(own, got) != "" {
		t.Errorf("picked %v", got)
	}
	if got, ok := pick([]aptSource{security, third, rolling}, "debian", "bookworm"); !ok || cmp.Diff(rolling, got) != "" {
		t.Errorf("picked %v", got)
	}
	if got, ok := pick([]aptSource{security, third}, "debian", "bookworm"); ok {
		t.Errorf("picked %v", got)
	}
	if got, want := own.line("sid", "main"), "deb-src [signed-by=/k.gpg] http://mirror.example/debian sid main\n"; got != want {
		t.Errorf("line is %q, want %q", got, want)
	}
}
