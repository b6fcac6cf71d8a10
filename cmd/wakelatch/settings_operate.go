package main

// operatorSettings are those of the commands that ask about the lifecycle and change it.
func operatorSettings() []setting {
	return []setting{
		{
			"api-key", "KEY", "", "the API key, if the nodes ask for one; prefer the variable, flags show in ps", forOperators,
			text(func(c *config) *string { return &c.apiKey }),
		},
		{
			"json", "", "false", "print what the API answered, for scripts", forOperators | forDoctor,
			boolean(func(c *config) *bool { return &c.json }),
		},
		{
			"url", "URL", "", "a node or the balancer, to see whether it serves (default: not looked at)", forDoctor,
			httpURL(func(c *config) *string { return &c.url }),
		},
		{
			"reason", "TEXT", "", "why; the history keeps it. Every command that changes something asks for it", forLists | forMend,
			text(func(c *config) *string { return &c.reason }),
		},
		{
			"status", "STATUS", "", "list only those with this status", forClaims | forEntities,
			text(func(c *config) *string { return &c.status }),
		},
		{
			"entity", "/TYPE/ID", "", "list only the claims of this entity", forClaims,
			text(func(c *config) *string { return &c.entity }),
		},
		{
			"runner", "ID", "", "list only those of this runner", forClaims | forEntities,
			text(func(c *config) *string { return &c.ofRunner }),
		},
		{
			"type", "NAME", "", "list only the entities of this type", forEntities,
			text(func(c *config) *string { return &c.ofType }),
		},
		{
			"parked", "", "false", "list only those that are parked", forEntities,
			boolean(func(c *config) *bool { return &c.parked }),
		},
		{
			"limit", "N", "50", "how many to list", forLists,
			number(func(c *config) *int64 { return &c.limit }, 1, 1000),
		},
		{
			"limit", "N", "10", "how much of what happened to show", forWhy,
			number(func(c *config) *int64 { return &c.limit }, 1, 1000),
		},
		{
			"after", "CURSOR", "", "go on where a list ended", forLists,
			text(func(c *config) *string { return &c.after }),
		},
		{
			"to", "RUNNER", "", "the runner to move the entity to", forEntities,
			text(func(c *config) *string { return &c.to }),
		},
		{
			"wait", "", "false", "of drain: go on until the runner works on nothing", forRunners,
			boolean(func(c *config) *bool { return &c.wait }),
		},
	}
}
