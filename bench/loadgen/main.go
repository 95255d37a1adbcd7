// Command loadgen loads a running server through its native API, in a closed loop
// over kept-alive connections, and prints what came of it.
//
//	go run ./bench/loadgen -server 127.0.0.1:8080 -key roster_… -tenant rivia -do check -user name:ciri -group name:witchers
//	go run ./bench/loadgen -do add -for 30s
//
// "add" puts the user into the group and takes it out again, in turn.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"time"

	"roster/bench/load"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "loadgen:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("loadgen", flag.ContinueOnError)
	flags.SetOutput(progress)
	address := flags.String("server", "127.0.0.1:8080", "host:port of the server")
	key := flags.String("key", os.Getenv("ROSTER_KEY"), "a native key; $ROSTER_KEY unless given")
	tenant := flags.String("tenant", "rivia", "the tenant's name or id")
	user := flags.String("user", "name:ciri", "the user to ask about or to add")
	group := flags.String("group", "name:witchers", "the group")
	clients := flags.Int("clients", 64, "connections, each with one request in flight")
	length := flags.Duration("for", 10*time.Second, "how long")
	do := flags.String("do", "check", "check or add")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *key == "" {
		return errors.New("no key: set ROSTER_KEY or give -key")
	}
	base := "/api/v1/tenants/" + url.PathEscape(*tenant)
	head := " HTTP/1.1\r\nHost: loadgen\r\nContent-Length: 0\r\nAuthorization: Bearer " + *key + "\r\n\r\n"
	check := "GET " + base + "/check?user=" + url.QueryEscape(*user) + "&group=" + url.QueryEscape(*group) + head
	member := base + "/groups/" + url.PathEscape(*group) + "/members/" + url.PathEscape(*user) + head
	plan := load.Plan{
		Address: strings.TrimPrefix(*address, "http://"), Clients: *clients, For: *length, Progress: progress, Name: *do,
	}
	switch *do {
	case "check":
		plan.Next = func(buf []byte, _, _ int) ([]byte, int) { return append(buf, check...), 1 }
		plan.Status = []int{200}
	case "add":
		plan.Next = func(buf []byte, _, n int) ([]byte, int) {
			if n%2 == 0 {
				return append(append(buf, "PUT "...), member...), 1
			}
			return append(append(buf, "DELETE "...), member...), 1
		}
		plan.Status = []int{200, 201}
	default:
		return fmt.Errorf("-do %s: want check or add", *do)
	}
	result, err := load.Run(ctx, plan)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d requests in %s: %.0f/s; p50 %s, p90 %s, p99 %s, p99.9 %s\n", result.Requests, result.Took.Round(time.Millisecond),
		result.PerSecond(), result.Latency.Quantile(0.5), result.Latency.Quantile(0.9), result.Latency.Quantile(0.99), result.Latency.Quantile(0.999))
	return nil
}
