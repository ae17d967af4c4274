package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"time"
)

// policy lets the page load and call its own origin and nothing else: no inline
// script or style, no other host, no frame around it, and no text that becomes
// markup.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

var (
	//go:embed page
	embedded embed.FS
	//go:embed openapi.json
	openAPIText []byte

	assets  = load()
	openAPI = newAsset("openapi.json", openAPIText)
)

var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	".json": "application/json",
}

// asset is a file as it is served.
type asset struct {
	name string
	kind string
	etag string
	data []byte
}

func newAsset(name string, data []byte) asset {
	sum := sha256.Sum256(data)
	return asset{name, types[path.Ext(name)], `"` + hex.EncodeToString(sum[:12]) + `"`, data}
}

func load() map[string]asset {
	entries, err := embedded.ReadDir("page")
	if err != nil {
		panic(fmt.Sprintf("console: %v", err)) // the files are in this program
	}
	all := map[string]asset{}
	for _, e := range entries {
		data, err := embedded.ReadFile("page/" + e.Name())
		if err != nil {
			panic(fmt.Sprintf("console: %v", err))
		}
		all[e.Name()] = newAsset(e.Name(), data)
	}
	return all
}

// serve answers with the file, or that the browser has it already. Nothing is
// used unasked: after a deploy no page mixes modules of two versions.
func (a asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", a.etag)
	http.ServeContent(w, r, a.name, time.Time{}, bytes.NewReader(a.data))
}
