package fakegemini

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// begin starts a resumable upload and says where its bytes go.
func (f *Fake) begin(w http.ResponseWriter, r *http.Request) {
	var body struct {
		File struct {
			Name, DisplayName, MIMEType string
		} `json:"file"`
	}
	if r.Header.Get("X-Goog-Upload-Protocol") != "resumable" || r.Header.Get("X-Goog-Upload-Command") != "start" {
		invalid(w, "an upload is started by its headers")
		return
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		invalid(w, "Invalid JSON payload received.")
		return
	}
	mime := r.Header.Get("X-Goog-Upload-Header-Content-Type")
	if mime == "" {
		invalid(w, "the file's type is not said")
		return
	}
	f.mu.Lock()
	id := fmt.Sprintf("file-%d", len(f.files)+1)
	f.files[id] = &file{name: id, mime: mime}
	f.mu.Unlock()
	w.Header().Set("X-Goog-Upload-Url", "https://generativelanguage.googleapis.com/upload/v1beta/files/"+id+"?upload_id="+id)
	w.Header().Set("X-Goog-Upload-Status", "active")
	answer(w, map[string]any{})
}

// finish takes a chunk; the last one ends the upload.
func (f *Fake) finish(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	one := f.files[r.PathValue("id")]
	if one == nil || r.Header.Get("X-Goog-Upload-Offset") != strconv.Itoa(len(one.data)) {
		invalid(w, "the chunk does not begin where the last one ended")
		return
	}
	one.data = append(one.data, data...)
	if !strings.Contains(r.Header.Get("X-Goog-Upload-Command"), "finalize") {
		w.Header().Set("X-Goog-Upload-Status", "active")
		answer(w, map[string]any{})
		return
	}
	w.Header().Set("X-Goog-Upload-Status", "final")
	answer(w, map[string]any{"file": f.described(r, one)})
}

// look tells how far a file is.
func (f *Fake) look(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	one := f.files[r.PathValue("id")]
	if one == nil {
		refuse(w, http.StatusForbidden, "PERMISSION_DENIED", "You do not have permission to access the File or it may not exist.")
		return
	}
	one.looks++
	answer(w, f.described(r, one))
}

func (f *Fake) remove(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.files, r.PathValue("id"))
	answer(w, map[string]any{})
}

func (f *Fake) described(r *http.Request, one *file) map[string]any {
	state := "PROCESSING"
	switch {
	case one.looks < f.Look:
	case bytes.HasPrefix(one.data, []byte("broken")):
		state = "FAILED"
	default:
		state = "ACTIVE"
	}
	return map[string]any{
		"name": "files/" + one.name, "mimeType": one.mime, "sizeBytes": strconv.Itoa(len(one.data)), "state": state,
		"uri": "http://" + r.Host + "/v1beta/files/" + one.name, "createTime": epoch.Format(time.RFC3339),
		"expirationTime": epoch.AddDate(0, 0, 2).Format(time.RFC3339),
	}
}
