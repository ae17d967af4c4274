package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/geminivideo/geminivideo/migrations"
)

// problem is something that is missing or wrong, and what mends it.
type problem struct{ what, mend string }

// examine looks at the project and the database, and prints what is missing or wrong in
// the order in which to mend it: what comes later may follow from what comes first.
func (d *deployment) examine(ctx context.Context, env func(string) string) error {
	var all []problem
	for _, part := range []struct {
		title string
		look  func(context.Context) ([]problem, error)
	}{
		{"APIs", d.apis},
		{"secrets", d.secretsThere},
		{"database", d.databaseRight},
		{"sign-in", func(ctx context.Context) ([]problem, error) { return d.signIn(ctx, env) }},
		{"functions", d.servicesRight},
		{"messages", d.messagesRight},
		{"schedules", d.schedulesRight},
		{"webhook", d.webhookAnswers},
	} {
		found, err := part.look(ctx)
		if err != nil {
			// What cannot be looked at is itself a finding; the rest is looked at all the same.
			found = append(found, problem{
				part.title + " could not be looked at: " + err.Error(), "see that this account may read them, then run it again",
			})
		}
		if len(found) == 0 {
			fmt.Fprintf(d.out, "ok  %s\n", part.title)
		}
		for _, p := range found {
			all = append(all, p)
			fmt.Fprintf(d.out, "%2d. %s: %s\n    %s\n", len(all), part.title, p.what, p.mend)
		}
	}
	if len(all) > 0 {
		return fmt.Errorf("%d things are missing or wrong", len(all))
	}
	fmt.Fprintln(d.out, "everything that can be seen from here is right")
	return nil
}

// databaseRight asks the database, where it is given.
func (d *deployment) databaseRight(ctx context.Context) ([]problem, error) {
	if d.db == "" {
		return []problem{{"not looked at", "give -db, the owner's URL to a session (port 5432)"}}, nil
	}
	conn, err := database(ctx, d.db)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	found, err := migrations.Check(ctx, conn)
	var all []problem
	for _, p := range found {
		all = append(all, problem{p.What, p.Mend})
	}
	return all, err
}

// managementAPI is Supabase's API of projects, which a personal access token opens.
const managementAPI = "https://api.supabase.com"

// signIn asks Supabase whether the access token hook is switched on: without it a token
// names no tenant, and every request of a person is refused.
func (d *deployment) signIn(ctx context.Context, env func(string) string) ([]problem, error) {
	token, ref := env("SUPABASE_ACCESS_TOKEN"), env("SUPABASE_PROJECT_REF")
	if token == "" || ref == "" {
		return []problem{{
			"not looked at: whether the access token hook is on",
			"set SUPABASE_ACCESS_TOKEN (a personal access token) and SUPABASE_PROJECT_REF",
		}}, nil
	}
	base := managementAPI
	if other := env("SUPABASE_API_URL"); other != "" {
		base = other
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/v1/projects/"+ref+"/config/auth", nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	var settings struct {
		Enabled bool   `json:"hook_custom_access_token_enabled"`
		URI     string `json:"hook_custom_access_token_uri"`
	}
	if err := d.askJSON(r, &settings); err != nil {
		return nil, err
	}
	const hook = "pg-functions://postgres/gv/access_token_hook"
	if settings.Enabled && settings.URI == hook {
		return nil, nil
	}
	return []problem{{
		"the access token hook is not " + hook + ": a token names no tenant",
		"Authentication, Hooks, Customize Access Token: gv.access_token_hook; or supabase config push with infra/supabase/config.toml",
	}}, nil
}

func (d *deployment) askJSON(r *http.Request, answer any) error {
	resp, err := d.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %d", r.URL.Host, resp.StatusCode)
	}
	return json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(answer)
}

// webhookAnswers asks as HubSpot would, without a signature: the right answer is a no of
// the function's own.
func (d *deployment) webhookAnswers(ctx context.Context) ([]problem, error) {
	if d.domain == "" {
		return []problem{{"not looked at", "give -domain"}}, nil
	}
	url := "https://" + d.domain + "/webhooks/hubspot"
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("[]"))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := d.client.Do(r)
	if err != nil {
		return []problem{{
			url + " cannot be reached: " + err.Error(),
			"point the A record of " + d.domain + " to Terraform's output address; the certificate follows within an hour",
		}}, nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 2000))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusUnauthorized && strings.Contains(string(body), "Invalid signature") {
		return nil, nil
	}
	return []problem{{
		fmt.Sprintf("%s answers an unsigned request with %d, not with 401 of its own: %s", url, resp.StatusCode, strings.TrimSpace(string(body))),
		"see the log of the function hubspot, and the load balancer's URL map",
	}}, nil
}
