// Package examples holds files that show how to describe a deployment. The
// server's --demo mode loads demo.yaml from here.
package examples

import _ "embed"

// Demo is demo.yaml.
//
//go:embed demo.yaml
var Demo []byte
