// Package fakebucket is a Cloud Storage that lives in a test: it speaks the JSON
// API as far as shared/bucket uses it, resumable uploads and conditions and
// checksums included, and fails when a test says so.
package fakebucket

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"google.golang.org/api/option"
)

// Object is a stored object.
type Object struct {
	Data        []byte
	ContentType string
	Generation  int64
	corrupt     bool
}

// Fake is a Cloud Storage with one bucket.
type Fake struct {
	Bucket string
	url    string

	mu         sync.Mutex
	objects    map[string]Object
	sessions   map[string]*session
	generation int64
	hangs      string
	fail       []func(r *http.Request) int
	cuts       []cut
}

type session struct {
	name, contentType string
	fresh             bool   // only where there is nothing yet
	crc32c            string // of what is to come, where the client says it
	data              []byte
}

// New starts a fake with an empty bucket.
func New(t testing.TB) *Fake {
	t.Helper()
	f := &Fake{Bucket: "videos-test", objects: map[string]Object{}, sessions: map[string]*session{}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

// URL is what VIDEO_BUCKET says of it.
func (f *Fake) URL() string { return "gs://" + f.Bucket }

// Options make a client talk to it.
func (f *Fake) Options() []option.ClientOption {
	return []option.ClientOption{option.WithEndpoint(f.url + "/storage/v1/"), option.WithoutAuthentication()}
}

// Put stores an object as somebody else would.
func (f *Fake) Put(name string, data []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.store(name, "application/octet-stream", data)
}

// Objects returns the names of what is stored.
func (f *Fake) Objects() (names []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name := range f.objects {
		names = append(names, name)
	}
	return names
}

// Object returns what is stored under name.
func (f *Fake) Object(name string) (Object, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o, ok := f.objects[name]
	return o, ok
}

// ServeHTTP answers as Cloud Storage does.
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went away
	}
	f.mu.Lock()
	if f.hangs != "" && strings.Contains(r.Method+" "+r.URL.String(), f.hangs) {
		f.mu.Unlock()
		<-r.Context().Done()
		return
	}
	defer f.mu.Unlock()
	status := 0
	for i, fails := range f.fail {
		if status = fails(r); status != 0 {
			f.fail = append(f.fail[:i], f.fail[i+1:]...)
			break
		}
	}
	switch {
	case status > 0:
		problem(w, status, "backendError")
		return
	case status < 0:
		f.answer(httptest.NewRecorder(), r, body)
		problem(w, http.StatusInternalServerError, "backendError")
		return
	}
	f.answer(w, r, body)
}

func (f *Fake) answer(w http.ResponseWriter, r *http.Request, body []byte) {
	objects := "/storage/v1/b/" + f.Bucket + "/o"
	name, isObject := strings.CutPrefix(r.URL.Path, objects+"/")
	switch {
	case r.URL.Path == "/upload"+objects:
		f.upload(w, r, body)
	case r.URL.Path == objects && r.Method == http.MethodGet:
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": "storage#objects"})
	case isObject:
		f.object(w, r, name)
	default:
		problem(w, http.StatusNotFound, "the bucket does not exist")
	}
}

func (f *Fake) object(w http.ResponseWriter, r *http.Request, name string) {
	o, ok := f.objects[name]
	if g := r.URL.Query().Get("generation"); g != "" && g != strconv.FormatInt(o.Generation, 10) {
		ok = false
	}
	switch {
	case !ok:
		problem(w, http.StatusNotFound, "no such object")
	case r.Method == http.MethodDelete:
		delete(f.objects, name)
		w.WriteHeader(http.StatusNoContent)
	case r.URL.Query().Get("alt") == "media":
		w.Header().Set("X-Goog-Generation", strconv.FormatInt(o.Generation, 10))
		w.Header().Set("X-Goog-Hash", "crc32c="+checksum(o.Data))
		w.Header().Set("Content-Type", o.ContentType)
		data := o.Data
		if o.corrupt {
			data = append([]byte{o.Data[0] ^ 1}, o.Data[1:]...)
		}
		media(w, r, data, f.cutAfter(r))
	default:
		f.describe(w, name)
	}
}

// media sends the data, or its first breakAt bytes before the connection breaks.
func media(w http.ResponseWriter, r *http.Request, data []byte, breakAt int) {
	from, to, status := 0, len(data)-1, http.StatusOK
	if asked := r.Header.Get("Range"); asked != "" {
		if n, _ := fmt.Sscanf(asked, "bytes=%d-%d", &from, &to); n == 0 || from >= len(data) {
			problem(w, http.StatusRequestedRangeNotSatisfiable, "range")
			return
		}
		to = min(to, len(data)-1)
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(data)))
		status = http.StatusPartialContent
	}
	w.Header().Set("Content-Length", strconv.Itoa(to+1-from))
	w.WriteHeader(status)
	if data = data[from : to+1]; breakAt >= 0 && breakAt < len(data) {
		_, _ = w.Write(data[:breakAt])
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(data)
}

func (f *Fake) upload(w http.ResponseWriter, r *http.Request, body []byte) {
	q := r.URL.Query()
	fresh := q.Get("ifGenerationMatch") == "0"
	switch q.Get("uploadType") {
	case "multipart":
		_, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		parts := multipart.NewReader(strings.NewReader(string(body)), params["boundary"])
		about, _ := parts.NextPart()
		s := described(about, q.Get("name"))
		data, err := parts.NextPart()
		if err != nil {
			problem(w, http.StatusBadRequest, "two parts are needed")
			return
		}
		s.fresh = fresh
		s.data, _ = io.ReadAll(data)
		f.finish(w, s)
	case "resumable":
		if !q.Has("upload_id") {
			s := described(strings.NewReader(string(body)), q.Get("name"))
			s.fresh = fresh
			id := strconv.Itoa(len(f.sessions) + 1)
			f.sessions[id] = s
			w.Header().Set("Location", f.url+r.URL.Path+"?uploadType=resumable&upload_id="+id)
			return
		}
		f.chunk(w, r, f.sessions[q.Get("upload_id")], body)
	default:
		problem(w, http.StatusBadRequest, "uploadType")
	}
}

func (f *Fake) chunk(w http.ResponseWriter, r *http.Request, s *session, body []byte) {
	if s == nil {
		problem(w, http.StatusNotFound, "no such session")
		return
	}
	span, total, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Content-Range"), "bytes "), "/")
	if from, _, ok := strings.Cut(span, "-"); ok {
		at, err := strconv.Atoi(from)
		if err != nil || at > len(s.data) {
			problem(w, http.StatusBadRequest, "a gap in the upload")
			return
		}
		s.data = append(s.data[:at], body...) // a chunk that comes again replaces itself
	}
	if total == "*" || total != strconv.Itoa(len(s.data)) {
		if len(s.data) > 0 {
			w.Header().Set("Range", fmt.Sprintf("bytes=0-%d", len(s.data)-1))
		}
		w.Header().Set("X-Http-Status-Code-Override", "308") // as asked for by X-GUploader-No-308
		return
	}
	if sent := r.Header.Get("X-Goog-Hash"); sent != "" && sent != "crc32c="+checksum(s.data) {
		problem(w, http.StatusBadRequest, "the checksum does not match")
		return
	}
	f.finish(w, s)
}

func described(r io.Reader, name string) *session {
	var about struct{ Name, ContentType, Crc32c string }
	_ = json.NewDecoder(r).Decode(&about)
	if about.Name == "" {
		about.Name = name
	}
	return &session{name: about.Name, contentType: about.ContentType, crc32c: about.Crc32c}
}

func (f *Fake) finish(w http.ResponseWriter, s *session) {
	if s.crc32c != "" && s.crc32c != checksum(s.data) {
		problem(w, http.StatusBadRequest, "the checksum does not match")
		return
	}
	if _, exists := f.objects[s.name]; exists && s.fresh {
		problem(w, http.StatusPreconditionFailed, "conditionNotMet")
		return
	}
	f.store(s.name, s.contentType, s.data)
	f.describe(w, s.name)
}

func (f *Fake) store(name, contentType string, data []byte) {
	f.generation++
	f.objects[name] = Object{Data: append([]byte{}, data...), ContentType: contentType, Generation: f.generation}
}

func (f *Fake) describe(w http.ResponseWriter, name string) {
	o := f.objects[name]
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"kind": "storage#object", "bucket": f.Bucket, "name": name, "size": strconv.Itoa(len(o.Data)),
		"generation": strconv.FormatInt(o.Generation, 10), "contentType": o.ContentType, "crc32c": checksum(o.Data),
	})
}

func checksum(data []byte) string {
	sum := crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum))
}

func problem(w http.ResponseWriter, status int, reason string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{
		"code": status, "message": reason, "errors": []any{map[string]string{"reason": reason, "message": reason}},
	}})
}
