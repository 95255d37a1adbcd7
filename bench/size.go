package main

import (
	"fmt"
	"strconv"
	"strings"
)

// smallest is how many memberships a directory must have to hold all that is
// measured in it.
const smallest = 10_000

// parseSizes reads a list of sizes, such as 10k,1m,10m, that ascends.
func parseSizes(text string) ([]int, error) {
	var sizes []int
	for part := range strings.SplitSeq(text, ",") {
		n, err := parseSize(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		if len(sizes) > 0 && n <= sizes[len(sizes)-1] {
			return nil, fmt.Errorf("-sizes %s: name the smaller size first, and each once", text)
		}
		sizes = append(sizes, n)
	}
	return sizes, nil
}

func parseSize(text string) (int, error) {
	digits, unit := strings.ToLower(text), 1
	for suffix, of := range map[string]int{"k": 1000, "m": 1_000_000} {
		if rest, ok := strings.CutSuffix(digits, suffix); ok {
			digits, unit = rest, of
			break
		}
	}
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0, fmt.Errorf("-sizes: %q is not a number such as 10k or 1m", text)
	}
	if n < smallest/unit || n > 100_000_000/unit {
		return 0, fmt.Errorf("-sizes: %s is not between %s and 100M", text, short(smallest))
	}
	return n * unit, nil
}

// short writes a size as a person says it.
func short(n int) string {
	switch {
	case n >= 1_000_000 && n%100_000 == 0:
		return strconv.FormatFloat(float64(n)/1e6, 'f', -1, 64) + "M"
	case n >= 1000 && n%1000 == 0:
		return fmt.Sprintf("%dk", n/1000)
	}
	return fmt.Sprint(n)
}

// Shape of a directory with n memberships: that of the budgets, which at 10
// million is a million users in a hundred thousand groups, and smaller in
// proportion.
func usersOf(n int) int  { return n / 10 }
func groupsOf(n int) int { return n / 100 }

// needed says how much disk is taken at most: for each membership the rows, history
// and log of the store, and the rows of the engine it is held against; and two
// write-ahead logs.
func needed(sizes []int) string {
	const each, logs = 450, 200e6
	return fmt.Sprintf("%.1f GB", (float64(sizes[len(sizes)-1])*each+logs)/1e9)
}
