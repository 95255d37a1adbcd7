//go:build !linux

package main

// usageNow returns nothing: only Linux is asked.
func usageNow() (usage, error) { return usage{}, nil }
