//go:build !race

package simulation

const detecting = false
