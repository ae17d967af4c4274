package videos

import (
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/geminivideo/geminivideo/shared/creative"
	"github.com/geminivideo/geminivideo/shared/video"
)

// accepted is the answer to what asks for an analysis.
type accepted struct {
	VideoID string `json:"video_id"`
	Status  string `json:"status" enum:"uploaded,analyzing,waiting,analyzed,failed"`
	Known   bool   `json:"already_known" doc:"Whether this is a video that was there before, with the same content."`
}

// Video is a video as the frontend shows it.
type Video struct {
	VideoID     string `json:"video_id"`
	Status      string `json:"status" enum:"uploaded,analyzing,waiting,analyzed,failed" doc:"uploaded waits for its turn; waiting is tried again by itself, waiting_for says why; failed is not, failure says why."`
	Name        string `json:"name" doc:"What the file was called where it came from; may be empty."`
	URI         string `json:"uri"`
	ContentType string `json:"content_type" enum:"video/mp4,video/quicktime,video/webm" doc:"By its content."`
	SizeBytes   int64  `json:"size_bytes"`

	DurationSeconds float64 `json:"duration_seconds"`
	Width           int     `json:"width" doc:"Pixels, as it is shown; 0 where the file does not say."`
	Height          int     `json:"height"`
	Orientation     string  `json:"orientation,omitempty" enum:"vertical,square,horizontal"`
	FramesPerSecond float64 `json:"frames_per_second" doc:"0 where the file does not say."`
	HasAudio        bool    `json:"has_audio"`

	CreativeDNA openDNA    `json:"creative_dna,omitempty" doc:"Once it is analysed."`
	GeneratedBy string     `json:"generated_by,omitempty" doc:"Who made the DNA: a model's name, or container where only the file itself was asked."`
	Failure     string     `json:"failure,omitempty" doc:"Why the analysis failed."`
	WaitingFor  string     `json:"waiting_for,omitempty" doc:"Why the analysis is tried again later."`
	Attempts    int        `json:"attempts" doc:"How many analyses were begun since one was last asked for."`
	UploadedBy  string     `json:"uploaded_by"`
	CreatedAt   time.Time  `json:"created_at"`
	AnalyzedAt  *time.Time `json:"analyzed_at,omitempty"`
}

// openDNA is a creative DNA in an answer.
type openDNA map[string]any

// Schema says that it is open.
func (openDNA) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true, Description: "A creative DNA; an open object."}
}

func shown(v video.Video) Video {
	shown := Video{
		VideoID: v.VideoID, Status: v.Status, Name: v.Name, URI: v.URI, ContentType: v.ContentType, SizeBytes: v.SizeBytes,
		DurationSeconds: v.Facts.DurationSeconds, Width: v.Facts.Width, Height: v.Facts.Height, FramesPerSecond: v.Facts.FramesPerSecond,
		HasAudio: v.Facts.HasAudio, CreativeDNA: openDNA(v.CreativeDNA), GeneratedBy: text(v.GeneratedBy), Failure: text(v.Failure),
		WaitingFor: text(v.WaitingFor), Attempts: v.Attempts, UploadedBy: v.UploadedBy, CreatedAt: v.CreatedAt.UTC(),
	}
	if v.AnalyzedAt != nil {
		at := v.AnalyzedAt.UTC()
		shown.AnalyzedAt = &at
	}
	if v.Facts.Width > 0 && v.Facts.Height > 0 {
		shown.Orientation = creative.Orientation(float64(v.Facts.Width), float64(v.Facts.Height))
	}
	return shown
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// describeUpload tells the OpenAPI document what a raw handler takes.
func describeUpload(op *huma.Operation) {
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"multipart/form-data": {Schema: &huma.Schema{Type: huma.TypeObject, Required: []string{"file"}, Properties: map[string]*huma.Schema{
			"file": {Type: huma.TypeString, Format: "binary", Description: "An MP4, MOV or WebM file; the request at most 32 MiB."},
		}}},
		"application/json": {Schema: &huma.Schema{
			Type: huma.TypeObject, Required: []string{"gcs_uri"}, AdditionalProperties: false,
			Properties: map[string]*huma.Schema{
				"gcs_uri": {
					Type:        huma.TypeString,
					Description: "An object in this system's bucket, under gs://bucket/tenants/<tenant_id>/: the way for larger files.",
				},
			},
		}},
	}}
}
