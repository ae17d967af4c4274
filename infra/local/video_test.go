package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/geminivideo/geminivideo/infra/testkit/film"
)

// uploadVideo puts a video into the tenant's part of the folder that stands where
// a bucket would, names it to the system, and waits until it is analysed.
func (p *process) uploadVideo(dir string) (id string) {
	p.t.Helper()
	own := filepath.Join(dir, "videos", "tenants", p.env["TENANT_ID"])
	if err := os.MkdirAll(own, 0o700); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(own, "story.mp4"), film.Short().MP4(), 0o600); err != nil {
		p.t.Fatal(err)
	}
	var taken struct {
		VideoID string `json:"video_id"`
	}
	text := p.want(202, "POST", "/api/videos/upload", "TOKEN", `{"gcs_uri": "gs://local/tenants/`+p.env["TENANT_ID"]+`/story.mp4"}`)
	if err := json.Unmarshal([]byte(text), &taken); err != nil {
		p.t.Fatal(err)
	}
	p.eventually("the video is analysed", func() bool {
		return strings.Contains(p.want(200, "GET", "/api/videos/"+taken.VideoID, "VIEWER_TOKEN", ""), `"status":"analyzed"`)
	})
	return taken.VideoID
}
