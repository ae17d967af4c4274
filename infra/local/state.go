package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// state is what the data folder keeps of credentials, so that they are the same
// at the next start. The file is its owner's alone.
type state struct {
	AppPassword    string `json:"app_password"`
	WorkerPassword string `json:"worker_password"`
	// RoleSuffix keeps the login roles of two systems on one server of -db apart.
	RoleSuffix          string `json:"role_suffix"`
	HubSpotClientSecret string `json:"hubspot_client_secret"`
	OtherWebhookSecret  string `json:"other_webhook_secret"`
	HubSpotToken        string `json:"hubspot_token"`
	OtherHubSpotToken   string `json:"other_hubspot_token"`
	MetaToken           string `json:"meta_token"`
	OtherMetaToken      string `json:"other_meta_token"`
	PublishableKey      string `json:"publishable_key"`
	OtherPublishableKey string `json:"other_publishable_key"`
	AnonKey             string `json:"anon_key"`
	DemoPassword        string `json:"demo_password"`
	ServerKey           string `json:"server_key"`
	OtherServerKey      string `json:"other_server_key"`
	MetaAppSecret       string `json:"meta_app_secret"`
	MetaVerifyToken     string `json:"meta_verify_token"`
	PageToken           string `json:"page_token"`
	OtherPageToken      string `json:"other_page_token"`
}

// loadState reads the folder's state, and makes up what it does not have.
func loadState(dir string) (state, error) {
	var s state
	path := filepath.Join(dir, "state.json")
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, fmt.Errorf("read %s: %w", path, err)
	}
	for _, one := range []struct {
		value  *string
		prefix string
	}{
		{&s.AppPassword, ""},
		{&s.WorkerPassword, ""},
		{&s.RoleSuffix, ""},
		{&s.HubSpotClientSecret, ""},
		{&s.OtherWebhookSecret, ""},
		{&s.HubSpotToken, "pat-na1-"},
		{&s.OtherHubSpotToken, "pat-na1-"},
		{&s.MetaToken, "EAA"},
		{&s.OtherMetaToken, "EAA"},
		{&s.PublishableKey, "gv_pk_"},
		{&s.OtherPublishableKey, "gv_pk_"},
		{&s.AnonKey, "sb_publishable_"},
		{&s.DemoPassword, ""},
		{&s.ServerKey, "gvs_"},
		{&s.OtherServerKey, "gvs_"},
		{&s.MetaAppSecret, ""},
		{&s.MetaVerifyToken, ""},
		{&s.PageToken, "EAA"},
		{&s.OtherPageToken, "EAA"},
	} {
		if *one.value == "" {
			*one.value = one.prefix + random()
		}
	}
	text, err = json.MarshalIndent(s, "", "  ")
	if err != nil {
		return s, err
	}
	return s, replace(path, append(text, '\n'))
}

// random returns 128 random bits as hexadecimal digits, which need no quoting anywhere.
func random() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}

// replace writes a file of the owner's alone, whole or not at all.
func replace(path string, text []byte) error {
	next := path + ".next"
	if err := os.WriteFile(next, text, 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}
