package queue

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// answer is what a handler wrote.
type answer struct {
	status   int
	header   http.Header
	body     bytes.Buffer
	panicked string
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

// ok reports an acknowledgement: Pub/Sub takes these statuses for one.
func (a *answer) ok() bool {
	switch a.status {
	case 0, http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent, http.StatusProcessing:
		return true
	}
	return false
}

// maxReason keeps a reason within an attribute's 1,024 bytes.
const maxReason = 1000

// reason says in words why a message was not acknowledged.
func (a *answer) reason() string {
	var problem struct {
		Detail string `json:"detail"`
	}
	text := "the function answered " + strconv.Itoa(a.status)
	switch {
	case a.panicked != "":
		text = "the function broke: " + a.panicked
	case a.status == http.StatusGatewayTimeout && a.body.Len() == 0:
		text = "the function did not answer in time"
	case json.Unmarshal(a.body.Bytes(), &problem) == nil && problem.Detail != "":
		text = problem.Detail
	}
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "")
	}
	return text
}
