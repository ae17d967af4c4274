package campaigns

import (
	"net/http"
	"time"

	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// NewLimited is New with other limits on an upload.
func NewLimited(db *pg.DB, access serve.Access, queue outbox.Publisher, maxBody int64, stall time.Duration) http.Handler {
	return newLimited(db, access, queue, nil, limits{maxBody, stall})
}
