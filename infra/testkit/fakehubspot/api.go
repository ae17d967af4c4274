package fakehubspot

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ServeHTTP answers as HubSpot's API does: faults first, for a broken server
// asks for no token, then the token, then the rate, then the route.
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/control/") {
		// A page of another origin must not move deals behind its reader's back.
		http.NewCrossOriginProtection().Handler(f.mux).ServeHTTP(w, r)
		return
	}
	_, route := f.mux.Handler(r)
	f.mu.Lock()
	f.counts[route]++
	fault := f.fault(r)
	f.mu.Unlock()
	if fault != nil && fault.serve(w, r) {
		return
	}
	p := f.bearer(r)
	if p == nil {
		refuse(w, http.StatusUnauthorized, problem{
			"message":  "Authentication credentials not found. This API supports OAuth 2.0 authentication and you can find more details at https://developers.hubspot.com/docs/methods/auth/oauth-overview",
			"category": "INVALID_AUTHENTICATION",
		})
		return
	}
	if !f.allow(w, p) {
		return
	}
	if fault != nil && fault.Truncate {
		w = &truncated{ResponseWriter: w}
	}
	f.mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), portalKey{}, p)))
}

type portalKey struct{}

// portalOf returns the portal that ServeHTTP found for the request.
func portalOf(r *http.Request) *Portal { return r.Context().Value(portalKey{}).(*Portal) }

func (f *Fake) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /crm/v3/objects/deals/{id}", f.getDeal)
	mux.HandleFunc("GET /crm/v3/objects/deals/{id}/associations/contacts", f.getDealContacts)
	mux.HandleFunc("GET /crm/v3/objects/contacts/{id}", f.getContact)
	mux.HandleFunc("GET /crm/v3/objects/deals", f.listDeals)
	mux.HandleFunc("POST /crm/v3/objects/{type}/search", f.search)
	mux.HandleFunc("POST /crm/v3/objects/deals/batch/update", f.batchUpdate)
	mux.HandleFunc("POST /crm/v3/properties/deals/groups", f.createGroup)
	mux.HandleFunc("POST /crm/v3/properties/deals", f.createProperty)
	mux.HandleFunc("GET /crm/v3/properties/deals/{name}", f.getProperty)
	mux.HandleFunc("POST /crm/v3/objects/{type}/batch/read", f.batchRead)
	mux.HandleFunc("POST /crm/v4/associations/{from}/{to}/batch/read", f.batchAssociations)
	mux.HandleFunc("GET /crm/v3/pipelines/deals", f.getPipelines)
	mux.HandleFunc("GET /account-info/v3/details", f.getAccount)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotFound, problem{"message": "resource not found", "category": "OBJECT_NOT_FOUND"})
	})
	f.control(mux)
	return mux
}

func (f *Fake) getPipelines(w http.ResponseWriter, r *http.Request) {
	type stage struct {
		ID           string            `json:"id"`
		Label        string            `json:"label"`
		DisplayOrder int               `json:"displayOrder"`
		Archived     bool              `json:"archived"`
		Metadata     map[string]string `json:"metadata"`
	}
	type pipeline struct {
		ID           string  `json:"id"`
		Label        string  `json:"label"`
		DisplayOrder int     `json:"displayOrder"`
		Archived     bool    `json:"archived"`
		Stages       []stage `json:"stages"`
	}
	f.mu.Lock()
	list := make([]pipeline, 0)
	for i, l := range portalOf(r).config.Pipelines {
		one := pipeline{ID: l.ID, Label: l.Label, DisplayOrder: i}
		for j, s := range l.Stages {
			one.Stages = append(one.Stages, stage{ID: s.ID, Label: s.Label, DisplayOrder: j, Metadata: map[string]string{
				"isClosed": strconv.FormatBool(s.Closed), "probability": number(s.Probability),
			}})
		}
		list = append(list, one)
	}
	f.mu.Unlock()
	answer(w, http.StatusOK, map[string]any{"results": list})
}

func (f *Fake) getAccount(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := portalOf(r)
	more := make([]string, 0, len(p.config.Rates))
	for currency := range p.config.Rates {
		more = append(more, currency)
	}
	answer(w, http.StatusOK, map[string]any{
		"portalId": p.config.ID, "accountType": "STANDARD", "timeZone": "US/Eastern", "companyCurrency": p.config.HomeCurrency,
		"additionalCurrencies": more, "utcOffset": "-05:00", "utcOffsetMilliseconds": -18000000,
		"uiDomain": "app.hubspot.com", "dataHostingLocation": "na1",
	})
}

// bearer returns the portal of the request's token, nil where it is none's.
func (f *Fake) bearer(r *http.Request) *Portal {
	f.mu.Lock()
	defer f.mu.Unlock()
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || token == "" {
		return nil
	}
	for _, p := range f.portals {
		for _, t := range p.config.Tokens {
			if t == token {
				return p
			}
		}
	}
	return nil
}

// problem is the body of HubSpot's errors but for what all of them have.
type problem map[string]any

func refuse(w http.ResponseWriter, status int, p problem) {
	p["status"], p["correlationId"] = "error", rand.Text()
	answer(w, status, p)
}

func notFound(w http.ResponseWriter, id string) {
	refuse(w, http.StatusNotFound, problem{
		"message": "Object not found.  objectId are usually numeric.", "category": "OBJECT_NOT_FOUND",
		"context": map[string]any{"id": []string{id}},
	})
}

func answer(w http.ResponseWriter, status int, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		panic(err) // only our own types come here
	}
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
	w.WriteHeader(status)
	_, _ = w.Write(raw)
}

// stamp writes a time as HubSpot does.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func number(f float64) string {
	if s := strconv.FormatFloat(f, 'f', -1, 64); strings.Contains(s, ".") {
		return s
	}
	return strconv.FormatFloat(f, 'f', 1, 64)
}
