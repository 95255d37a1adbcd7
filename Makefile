# What a person runs. CI runs .ci/run, which calls these.

export CGO_ENABLED ?= 0

.PHONY: build test test-clients race lint bench bench-quick soak patroni

build:
	go build -o roster ./cmd/roster

# Needs the Go module proxy, and PostgreSQL's programs (not a running server).
# Installs them if it may, and says at the end what it could not test.
test:
	.ci/test

# The official clients of the dialects, each against a server of its own. Needs
# node, npm and its registry.
test-clients:
	@set -e; for run in internal/dialect/*/clienttest/run; do echo "== $$run"; "$$run"; done

# The race detector needs cgo, and so a C compiler. It sees nothing of the programs
# that the longer tests start.
race:
	CGO_ENABLED=1 go test -race -timeout 20m ./internal/index ./internal/directory ./internal/store/sqlite -rapid.checks=10
	CGO_ENABLED=1 go test -race -timeout 20m -short ./internal/authn ./internal/server ./bench/load

lint:
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "gofmt would change:"; echo "$$out"; exit 1; fi
	go vet ./...
	go tool staticcheck ./...

# Long, and wants a quiet machine: docs/performance.md has how long and how large. It
# rewrites the figures and the chart there.
bench:
	go run ./bench -docs docs

# For a person in a hurry: prints, and writes nothing.
bench-quick:
	go run ./bench -quick

# As many crashes as an hour holds, and as many failures of nodes as half an hour.
soak:
	go test ./internal/server -run TestCrash -crashes 2000 -timeout 90m -v
	go test ./internal/server -run 'TestANodeKilled|TestConnectionsCut|TestHistories|TestNobodyWaits' -failures 30 -timeout 90m -v

# Fails a real PostgreSQL cluster over under load, on loopback, within ten minutes.
# Wants Debian's patroni, etcd-server and postgresql; root installs what is missing.
patroni:
	go run ./deploy/patroni/failover
