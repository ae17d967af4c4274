package campaigns

import (
	"net/http"

	"github.com/geminivideo/geminivideo/shared/fair"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// NewLimited is New with other limits on an upload.
func NewLimited(db *pg.DB, access serve.Access, queue outbox.Publisher, maxBody int64) http.Handler {
	return newFunction(db, queue, nil, maxBody).handler(access)
}

// NewWatched is New, and the queue of its loads.
func NewWatched(db *pg.DB, access serve.Access, queue outbox.Publisher) (http.Handler, *fair.Queue) {
	f := newFunction(db, queue, nil, maxBody)
	return f.handler(access), f.loads
}
