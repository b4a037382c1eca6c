"""OAuth 2.x: the endpoints, their parameters, their errors, and the grants behind them."""
