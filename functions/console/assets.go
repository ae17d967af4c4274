package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
)

// hashed is the folder of the files that have their content's hash in their name.
const hashed = "assets/"

const indexFile = "index.html"

var (
	//go:embed page
	embedded embed.FS
	//go:embed openapi.json
	openAPIText []byte

	index, assets = load()
	openAPI       = newAsset("openapi.json", openAPIText)
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
	// packed compresses the file when it is first asked for.
	packed func() []byte
}

func newAsset(name string, data []byte) asset {
	sum := sha256.Sum256(data)
	return asset{name, types[path.Ext(name)], hex.EncodeToString(sum[:12]), data, sync.OnceValue(func() []byte { return pack(data) })}
}

func pack(data []byte) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is a valid one
	_, _ = z.Write(data)                                  // a buffer takes everything
	_ = z.Close()
	return b.Bytes()
}

// load returns the page and the files beside it by their path below /console/.
func load() (page []byte, all map[string]asset) {
	all = map[string]asset{}
	err := fs.WalkDir(embedded, "page", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || types[path.Ext(file)] == "" {
			return err
		}
		data, err := embedded.ReadFile(file)
		if name := strings.TrimPrefix(file, "page/"); name == indexFile {
			page = data
		} else {
			all[name] = newAsset(name, data)
		}
		return err
	})
	if err != nil || page == nil {
		panic(fmt.Sprintf("console: the embedded page: %v", err)) // the files are in this program
	}
	return page, all
}

// pageFor writes a deployment's settings into the page.
func pageFor(cfg Config) asset {
	text := strings.NewReplacer(
		"{{SUPABASE_URL}}", html.EscapeString(strings.TrimSuffix(cfg.SupabaseURL, "/")),
		"{{SUPABASE_ANON_KEY}}", html.EscapeString(cfg.SupabaseAnonKey),
	).Replace(string(index))
	return newAsset(indexFile, []byte(text))
}

// serve answers with the file, or that the browser has it already. A file whose
// name is its hash never changes; of any other the browser asks whether it did, so
// that after a deploy no page mixes files of two versions.
func (a asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Add("Vary", "Accept-Encoding")
	if strings.HasPrefix(a.name, hashed) {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache")
	}
	data, etag := a.data, a.etag
	if acceptsGzip(r) && r.Header.Get("Range") == "" {
		data, etag = a.packed(), a.etag+"-gz"
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", `"`+etag+`"`)
	http.ServeContent(w, r, a.name, time.Time{}, bytes.NewReader(data))
}

func acceptsGzip(r *http.Request) bool {
	for one := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, quality, _ := strings.Cut(strings.TrimSpace(one), ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			return strings.ReplaceAll(quality, " ", "") != "q=0"
		}
	}
	return false
}
