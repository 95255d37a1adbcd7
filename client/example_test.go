package client_test

import (
	"context"
	"fmt"
	"log"

	"roster/client"
)

func Example() {
	ctx := context.Background()
	c, err := client.New("https://roster.example.com", "roster_…")
	if err != nil {
		log.Fatal(err)
	}
	acme := c.Tenant("acme")

	if _, err := acme.AddMember(ctx, client.ByName("Engineers"), client.UserMember(client.ByEmail("ann@example.com"))); err != nil {
		log.Fatal(err)
	}
	in, err := acme.Check(ctx, client.ByEmail("ann@example.com"), client.ByName("Engineers"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("ann is an engineer:", in)

	for m, err := range acme.Members(ctx, client.ByName("Engineers"), client.MemberFilter{Transitive: true}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(m.User.Name)
	}
}
