package campaigns_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/functions/campaigns"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/auth"
)

type world struct {
	*apitest.World
	handler http.Handler
}

func newWorld(t *testing.T) world {
	t.Helper()
	w := apitest.New(t)
	return world{w, campaigns.New(w.App, w.Access(), w.Queue, nil)}
}

// account gives the tenant an ad account.
func (w world) account(tenant, id, currency string) {
	w.T.Helper()
	w.Exec(`INSERT INTO gv.accounts (tenant_id, account_id, currency) VALUES ($1, $2, $3)`, tenant, id, currency)
}

func (w world) get(path string) apitest.Answer {
	w.T.Helper()
	return w.Call(w.handler, "GET", path, w.Token(auth.Viewer), nil)
}

// form makes a multipart body of names and values in turn.
func form(t testing.TB, parts ...string) (body, contentType string) {
	t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	for i := 0; i < len(parts); i += 2 {
		var err error
		if parts[i] == "file" {
			part, cause := m.CreateFormFile("file", "report.csv")
			err = cause
			if err == nil {
				_, err = part.Write([]byte(parts[i+1]))
			}
		} else {
			err = m.WriteField(parts[i], parts[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), m.FormDataContentType()
}

// upload imports a report as an editor; headers are names and values in turn.
func (w world) upload(query, file string, headers ...string) apitest.Answer {
	w.T.Helper()
	body, kind := form(w.T, "file", file)
	return w.Call(w.handler, "POST", "/api/ads/import"+query, w.Token(auth.Editor), body, append([]string{"Content-Type", kind}, headers...)...)
}

type answer struct {
	AccountID string `json:"account_id"`
	Currency  string `json:"currency"`
	Rows      int    `json:"rows"`
	Imported  int    `json:"imported"`
	Updated   int    `json:"updated"`
	Unchanged int    `json:"unchanged"`
	Rejected  int    `json:"rejected"`
	Errors    []struct {
		Line   int    `json:"line"`
		Column string `json:"column"`
		Reason string `json:"reason"`
	} `json:"errors"`
	ErrorsTruncated bool     `json:"errors_truncated"`
	NewAds          int      `json:"new_ads"`
	NewCampaigns    int      `json:"new_campaigns"`
	NewWinners      int      `json:"new_winners"`
	Notes           []string `json:"notes"`
}

func (a answer) counts() string {
	return fmt.Sprintf("rows %d imported %d updated %d unchanged %d rejected %d", a.Rows, a.Imported, a.Updated, a.Unchanged, a.Rejected)
}

// imported requires a success.
func (w world) imported(a apitest.Answer) answer {
	w.T.Helper()
	if a.Status != http.StatusOK {
		w.T.Fatalf("import: %d %s", a.Status, a.Body)
	}
	if strings.Contains(a.Body, "null") {
		w.T.Errorf("an answer with a null: %s", a.Body)
	}
	var got answer
	if err := json.Unmarshal([]byte(a.Body), &got); err != nil {
		w.T.Fatal(err)
	}
	return got
}

// figures is an ad as the database has it.
func (w world) figures(ad string) string {
	w.T.Helper()
	return w.Text(`SELECT concat_ws(' ', name, status, campaign_id, impressions, clicks, spend_minor, pipeline_minor, revenue_minor, value_source, coalesce(daily_budget_minor::text, '-'))
		FROM gv.ads WHERE tenant_id = $1 AND ad_id = $2`, apitest.Tenant, ad)
}
