// Package terraform holds what the deployment gives to Google Cloud, for the laptop and
// the tests, which use the same.
package terraform

import _ "embed"

// FirestoreRules are the security rules of the live view.
//
//go:embed firestore.rules
var FirestoreRules string
