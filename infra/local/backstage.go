package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/geminivideo/geminivideo/functions"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/serve"
)

const backstageHelp = `What only this machine may do:

  GET  /_local/users               who may sign in to the console, and the password of all of them
  GET  /_local/mails               the sign-in links and codes that were sent
  GET  /_local/queue               how many messages wait, are handled and back off
  POST /_local/run/FUNCTION        runs a scheduled function now
  POST /_local/deliver/FUNCTION    delivers a Pub/Sub push envelope to its function
       /_local/hubspot/            the fake HubSpot's API; /_local/hubspot/control/ changes deals
       /_local/meta/               the fake Meta's API; /_local/meta/control/ changes ads, their days and budgets, and shows every write
`

// backstage serves what in production only Pub/Sub, Cloud Scheduler, HubSpot and
// Meta have, and only to this machine.
func (s *system) backstage() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_local/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, backstageHelp)
	})
	mux.HandleFunc("GET /_local/users", s.demoUsers)
	mux.HandleFunc("GET /_local/mails", s.mails)
	mux.HandleFunc("GET /_local/queue", s.showQueue)
	mux.HandleFunc("POST /_local/run/{function}", s.passTo(functions.Schedule))
	mux.HandleFunc("POST /_local/deliver/{function}", s.passTo(functions.PubSub))
	// A page of another origin must not move deals or budgets behind its reader's back.
	sameOrigin := http.NewCrossOriginProtection().Handler
	inside := sameOrigin(mux)
	outside := map[string]http.Handler{
		hubspotPath: sameOrigin(http.StripPrefix(hubspotPath, s.hubspot)), metaPath: sameOrigin(http.StripPrefix(metaPath, s.meta)),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
			serve.WriteError(w, r, fault.Forbiddenf("/_local/ is only for the machine that the system runs on"))
			return
		}
		for path, fake := range outside {
			if strings.HasPrefix(r.URL.Path, path+"/") {
				fake.ServeHTTP(w, r)
				return
			}
		}
		inside.ServeHTTP(w, r)
	})
}

const (
	hubspotPath = "/_local/hubspot"
	metaPath    = "/_local/meta"
)

// passTo hands the request to the function that its path names.
func (s *system) passTo(trigger functions.Trigger) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h, err := s.handler(r.PathValue("function"), trigger)
		if err != nil {
			serve.WriteError(w, r, err)
			return
		}
		r.URL.Path = "/"
		h.ServeHTTP(w, r)
	}
}

func (s *system) showQueue(w http.ResponseWriter, r *http.Request) {
	if s.queue == nil {
		serve.WriteError(w, r, fault.NotFoundf("the queue is Google's emulator, which reports no states"))
		return
	}
	states, err := s.queue.States(r.Context())
	if err != nil {
		serve.WriteError(w, r, fault.Down("the queue's journal does not answer", err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"subscriptions": states})
}

// call asks a handler of this process and returns what it answered.
func call(ctx context.Context, h http.Handler, method, path string, body []byte) (int, []byte) {
	r := (&http.Request{
		Method: method, URL: mustURL(path), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{},
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), RemoteAddr: "127.0.0.1:0",
	}).WithContext(ctx)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.Bytes()
}

func mustURL(path string) *url.URL { return &url.URL{Path: path} }

// runNow runs a scheduled function and returns its report.
func (s *system) runNow(ctx context.Context, name string) (string, error) {
	h, err := s.handler(name, functions.Schedule)
	if err != nil {
		return "", err
	}
	status, body := call(ctx, h, http.MethodPost, "/", nil)
	report := string(bytes.TrimSpace(body))
	if status != http.StatusOK {
		return "", errors.New(fmt.Sprint(name, " answered ", status, ": ", report))
	}
	return report, nil
}
