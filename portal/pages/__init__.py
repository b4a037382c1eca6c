"""What people see: one module per area, each with `router(host)`; one dataclass per template in portal.contexts."""
