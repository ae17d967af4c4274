// Package conformance has one suite per port with several back ends: each back
// end, on the fake or on the real thing, passes the same tests. The bucket's suite
// is in shared/bucket/bucket_test.go, whose tests all run on every back end.
package conformance
