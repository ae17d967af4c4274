//go:build race

package simulation

const detecting = true
