package main

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// setEnvironment gives the functions of this process their settings, as Cloud
// Run would. What a developer sets for a service outside (GEMINI_API_KEY, ...)
// stays; what would lead out of this machine by accident does not.
func (s *system) setEnvironment(keep state) error {
	longest := 0
	for _, f := range s.manifest.Functions {
		longest = max(longest, int(f.Timeout.Seconds()))
	}
	settings := [][2]string{
		{"GOOGLE_CLOUD_PROJECT", project},
		{"DATABASE_URL", s.database.appURL},
		{"WORKER_DATABASE_URL", s.database.workerURL},
		{"SUPABASE_URL", s.baseURL},
		{"SUPABASE_ANON_KEY", keep.AnonKey},
		{"SUPABASE_JWT_SECRET", ""},
		{"PUBLIC_BASE_URL", s.baseURL},
		{"SECRETS_ENDPOINT", s.vault.Addr()},
		{"HUBSPOT_API_URL", s.hubspotURL()},
		{"META_API_URL", s.metaURL()},
		{"HUBSPOT_REQUESTS_PER_10S", strconv.Itoa(hubspotLimit * 9 / 10)},
		{"HUBSPOT_CLIENT_SECRET", keep.HubSpotClientSecret},
		{"SCHEDULER_ENDPOINT", s.scheduler.Addr()},
		{"SCHEDULER_TARGET", s.baseURL + "/_local/run/{function}"},
		{"META_APP_SECRET", keep.MetaAppSecret},
		{"META_VERIFY_TOKEN", keep.MetaVerifyToken},
		{"WEBHOOK_ALLOW_LOCAL", "true"}, // a developer's own receiver
		{"TRUSTED_PROXIES", "0"},        // nobody stands in front
		{"VIDEO_BUCKET", (&url.URL{Scheme: "file", Path: filepath.ToSlash(s.videos())}).String()},
		// serve ends requests a second earlier; the gateway knows each function's own time.
		{"CLOUD_RUN_TIMEOUT_SECONDS", strconv.Itoa(longest + 1)},
	}
	if os.Getenv("CORS_ORIGINS") == "" {
		// Where front ends are usually developed.
		settings = append(settings, [2]string{"CORS_ORIGINS", "http://localhost:3000,http://localhost:5173"})
	}
	for _, set := range settings {
		if err := os.Setenv(set[0], set[1]); err != nil {
			return err
		}
	}
	return nil
}

// writeSettings writes what this system's functions were given, for -function.
func (s *system) writeSettings() error {
	names := map[string]bool{}
	for _, name := range onlyLocal {
		names[name] = true
	}
	for _, f := range s.manifest.Functions {
		for _, name := range slices.Concat(f.Secrets, f.OptionalSecrets, f.Settings) {
			names[name] = true
		}
	}
	var b strings.Builder
	b.WriteString("# Written by infra/local at each start, for -function.\n")
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if value := os.Getenv(name); value != "" {
			fmt.Fprintf(&b, "%s=%s\n", name, quoted(value))
		}
	}
	return replace(filepath.Join(s.dir, settingsFile), []byte(b.String()))
}

// videos is the folder that stands where a bucket would.
func (s *system) videos() string { return filepath.Join(s.dir, "videos") }

func (s *system) hubspotURL() string { return s.baseURL + hubspotPath }
func (s *system) metaURL() string    { return s.baseURL + metaPath }

// writeEnv writes the file to be sourced.
func (s *system) writeEnv() error {
	home, other := s.tenants.home, s.tenants.other
	var b strings.Builder
	b.WriteString("# Written by infra/local at each start. Its tokens are good for 7 days.\n")
	for _, set := range [][2]string{
		{"BASE_URL", s.baseURL},
		{"TOKEN", home.EditorToken},
		{"ADMIN_TOKEN", home.AdminToken},
		{"VIEWER_TOKEN", home.ViewerToken},
		{"OTHER_TENANT_TOKEN", other.EditorToken},
		{"HUBSPOT_CLIENT_SECRET", home.WebhookSecret},
		{"PUBLIC_BASE_URL", s.baseURL},
		{"PUBLISHABLE_KEY", home.PublishableKey},
		{"SERVER_KEY", home.ServerKey},
		{"DATABASE_URL", s.database.appURL},
		{"WORKER_DATABASE_URL", s.database.workerURL},
		{"ADMIN_DATABASE_URL", s.database.adminURL},
		{"TENANT_ID", home.ID},
		{"ACCOUNT_ID", home.AccountID},
		{"PORTAL_ID", strconv.FormatInt(home.PortalID, 10)},
		{"OTHER_TENANT_ID", other.ID},
		{"OTHER_ACCOUNT_ID", other.AccountID},
		{"OTHER_PORTAL_ID", strconv.FormatInt(other.PortalID, 10)},
		{"OTHER_PUBLISHABLE_KEY", other.PublishableKey},
		{"OTHER_SERVER_KEY", other.ServerKey},
		{"OTHER_HUBSPOT_CLIENT_SECRET", other.WebhookSecret},
		{"HUBSPOT_API_URL", s.hubspotURL()},
		{"META_API_URL", s.metaURL()},
		{"META_ACCESS_TOKEN", home.MetaToken},
		{"OTHER_META_ACCESS_TOKEN", other.MetaToken},
		{"META_APP_SECRET", s.tenants.appSecret},
		{"META_VERIFY_TOKEN", s.tenants.verifyToken},
		{"PAGE_ID", home.PageID},
		{"PAGE_ACCESS_TOKEN", home.PageToken},
		{"OTHER_PAGE_ID", other.PageID},
		{"OTHER_PAGE_ACCESS_TOKEN", other.PageToken},
		{"SUPABASE_URL", s.baseURL},
	} {
		fmt.Fprintf(&b, "%s=%s\n", set[0], quoted(set[1]))
	}
	return replace(s.envFile(), []byte(b.String()))
}

// quoted is value as one word of any POSIX shell.
func quoted(value string) string { return `'` + strings.ReplaceAll(value, `'`, `'\''`) + `'` }
